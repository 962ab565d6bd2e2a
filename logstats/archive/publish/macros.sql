-- Macros for SQL over an archive. Lines that begin with `--> ` are examples, each of them true.

-- The first 8 bytes, big-endian, of SHA-1(msgpack(text)): how the Python package `hyperloglog` hashes a string.
--> hll_hash('10.0.0.1') = 1052488109409387709
CREATE OR REPLACE MACRO hll_hash(text) AS
    ('0x' || sha1(
        CASE
            WHEN strlen(text) < 32 THEN unhex(printf('%02x', 160 + strlen(text)))
            WHEN strlen(text) < 256 THEN unhex('d9' || printf('%02x', strlen(text)))
            WHEN strlen(text) < 65536 THEN unhex('da' || printf('%04x', strlen(text)))
            ELSE unhex('db' || printf('%08x', strlen(text)))
        END || encode(text)
    )[:16])::UBIGINT;

-- What a hash sets in a sketch of 16,384 registers: register * 64 + rank. The register is the low 14 bits, the rank
-- one more than the leading zeros of the other 50. A sketch is a list of these; where a register comes twice, the
-- higher rank counts. Users of rows instead of rollups: unique_users([list(DISTINCT hll_register(hll_hash(client_ip)))])
--> hll_register(hll_hash('10.0.0.1')) = 1213 * 64 + 5
CREATE OR REPLACE MACRO hll_register(hash) AS
    ((hash & 16383) * 64 + 51 - CASE WHEN hash < 16384 THEN 0 ELSE strlen(bin(hash >> 14)) END)::UINTEGER;

-- The number of distinct values, from how many registers are 0 and the sum of 2^-rank over all registers: linear
-- counting, or the raw estimate less the mean bias of the six estimates nearest to it (Heule, Nunkesser, Hall 2013).
--> hll_estimate(16383, 16383.5) = 1
CREATE OR REPLACE MACRO hll_estimate(zeros, inverses) AS
    CASE
        WHEN zeros > 0 AND 16384 * ln(16384 / zeros) <= {threshold}
            THEN round(16384 * ln(16384 / zeros))
        WHEN {alpha_m2} / inverses > 5 * 16384
            THEN round(least({alpha_m2} / inverses, pow(2.0, 62)))
        ELSE round({alpha_m2} / inverses - list_sum(list_transform(
            list_sort(list_transform(
                list_zip({estimates}, {biases}),
                lambda pair: [pow({alpha_m2} / inverses - pair[1], 2), pair[2]]
            ))[:6],
            lambda pair: pair[2]
        )) / 6)
    END::BIGINT;

-- Distinct users of any minutes: the estimate of the union of their sketches, never the sum of their users.
--> unique_users([[64 * 5 + 1, 64 * 9 + 3], [64 * 5 + 2]]) = 2
CREATE OR REPLACE MACRO unique_users(registers) AS (
    SELECT hll_estimate(16384 - count(*), 16384 - count(*) + coalesce(fsum(pow(2.0, -rank)), 0))
    FROM (
        SELECT max(value & 63)::INTEGER AS rank
        FROM (SELECT unnest(flatten(registers)) AS value)
        GROUP BY value >> 6
    )
);

-- The bucket that a duration lies in: ceil(log(ms) / log(gamma)), gamma = 1.01 / 0.99; null for 0 and for null.
--> latency_bucket(100) = 231
CREATE OR REPLACE MACRO latency_bucket(ms) AS
    CASE WHEN ms > 0 THEN ceil(ln(ms::DOUBLE) * {inverse_log_gamma})::INTEGER END;

-- The milliseconds that a bucket stands for, within 1 % of everything in it. The bucket null is exactly 0.
--> round(bucket_ms(231), 3) = 100.495
CREATE OR REPLACE MACRO bucket_ms(bucket) AS
    CASE WHEN bucket IS NULL THEN 0 ELSE exp(least(bucket * {log_gamma} + {log_middle}, {log_largest})) END;

-- A percentile of latencies, in milliseconds within 1 %, from lists of buckets and of how many each of them counts
-- (buckets may repeat): the nearest rank, ceil(p * n / 100). Null of nothing.
--> round(latency_percentile([null, 231, 300], [2, 7, 1], 90), 3) = 100.495
CREATE OR REPLACE MACRO latency_percentile(buckets, counts, percentile) AS (
    SELECT bucket_ms(bucket)
    FROM (
        SELECT bucket, sum(count) OVER (ORDER BY bucket NULLS FIRST) AS running, sum(count) OVER () AS total
        FROM (SELECT unnest(buckets) AS bucket, unnest(counts)::HUGEINT AS count)
    )
    WHERE running * 100000000 >= total * (percentile * 1000000)::HUGEINT
    ORDER BY running
    LIMIT 1
);
