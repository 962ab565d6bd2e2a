"""The program: what `logstats` and `python -m logstats` start."""


def main() -> None:
    """Load the command line and run it; Ctrl-C while it loads is an interruption like any other."""
    try:
        from logstats.cli.main import run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
