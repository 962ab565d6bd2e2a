"""`python -m logstats`."""

from logstats.cli.main import run

if __name__ == "__main__":
    run()
