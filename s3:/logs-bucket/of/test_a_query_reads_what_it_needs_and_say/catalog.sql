-- logstats 0.1.0: after commit 3. Written at each commit: do not change it.
-- Use, in the folder of the archive: duckdb -init catalog.sql (elsewhere: SET file_search_path = 'ARCHIVE';
-- .read ARCHIVE/catalog.sql). With paths of this place: logstats archive files -o sql
SET TimeZone = 'UTC';

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
        WHEN zeros > 0 AND 16384 * ln(16384 / zeros) <= 11500.0e0
            THEN round(16384 * ln(16384 / zeros))
        WHEN 193609743.86875492e0 / inverses > 5 * 16384
            THEN round(least(193609743.86875492e0 / inverses, pow(2.0, 62)))
        ELSE round(193609743.86875492e0 / inverses - list_sum(list_transform(
            list_sort(list_transform(
                list_zip([11817.475e0, 12015.0046e0, 12215.3792e0, 12417.7504e0, 12623.1814e0, 12830.0086e0, 13040.0072e0, 13252.503e0, 13466.178e0, 13683.2738e0, 13902.0344e0, 14123.9798e0, 14347.394e0, 14573.7784e0, 14802.6894e0, 15033.6824e0, 15266.9134e0, 15502.8624e0, 15741.4944e0, 15980.7956e0, 16223.8916e0, 16468.6316e0, 16715.733e0, 16965.5726e0, 17217.204e0, 17470.666e0, 17727.8516e0, 17986.7886e0, 18247.6902e0, 18510.9632e0, 18775.304e0, 19044.7486e0, 19314.4408e0, 19587.202e0, 19862.2576e0, 20135.924e0, 20417.0324e0, 20697.9788e0, 20979.6112e0, 21265.0274e0, 21550.723e0, 21841.6906e0, 22132.162e0, 22428.1406e0, 22722.127e0, 23020.5606e0, 23319.7394e0, 23620.4014e0, 23925.2728e0, 24226.9224e0, 24535.581e0, 24845.505e0, 25155.9618e0, 25470.3828e0, 25785.9702e0, 26103.7764e0, 26420.4132e0, 26742.0186e0, 27062.8852e0, 27388.415e0, 27714.6024e0, 28042.296e0, 28365.4494e0, 28701.1526e0, 29031.8008e0, 29364.2156e0, 29704.497e0, 30037.1458e0, 30380.111e0, 30723.8168e0, 31059.5114e0, 31404.9498e0, 31751.6752e0, 32095.2686e0, 32444.7792e0, 32794.767e0, 33145.204e0, 33498.4226e0, 33847.6502e0, 34209.006e0, 34560.849e0, 34919.4838e0, 35274.9778e0, 35635.1322e0, 35996.3266e0, 36359.1394e0, 36722.8266e0, 37082.8516e0, 37447.7354e0, 37815.9606e0, 38191.0692e0, 38559.4106e0, 38924.8112e0, 39294.6726e0, 39663.973e0, 40042.261e0, 40416.2036e0, 40779.2036e0, 41161.6436e0, 41540.9014e0, 41921.1998e0, 42294.7698e0, 42678.5264e0, 43061.3464e0, 43432.375e0, 43818.432e0, 44198.6598e0, 44583.0138e0, 44970.4794e0, 45353.924e0, 45729.858e0, 46118.2224e0, 46511.5724e0, 46900.7386e0, 47280.6964e0, 47668.1472e0, 48055.6796e0, 48446.9436e0, 48838.7146e0, 49217.7296e0, 49613.7796e0, 50010.7508e0, 50410.0208e0, 50793.7886e0, 51190.2456e0, 51583.1882e0, 51971.0796e0, 52376.5338e0, 52763.319e0, 53165.5534e0, 53556.5594e0, 53948.2702e0, 54346.352e0, 54748.7914e0, 55138.577e0, 55543.4824e0, 55941.1748e0, 56333.7746e0, 56745.1552e0, 57142.7944e0, 57545.2236e0, 57935.9956e0, 58348.5268e0, 58737.5474e0, 59158.5962e0, 59542.6896e0, 59958.8004e0, 60349.3788e0, 60755.0212e0, 61147.6144e0, 61548.194e0, 61946.0696e0, 62348.6042e0, 62763.603e0, 63162.781e0, 63560.635e0, 63974.3482e0, 64366.4908e0, 64771.5876e0, 65176.7346e0, 65597.3916e0, 65995.915e0, 66394.0384e0, 66822.9396e0, 67203.6336e0, 67612.2032e0, 68019.0078e0, 68420.0388e0, 68821.22e0, 69235.8388e0, 69640.0724e0, 70055.155e0, 70466.357e0, 70863.4266e0, 71276.2482e0, 71677.0306e0, 72080.2006e0, 72493.0214e0, 72893.5952e0, 73314.5856e0, 73714.9852e0, 74125.3022e0, 74521.2122e0, 74933.6814e0, 75341.5904e0, 75743.0244e0, 76166.0278e0, 76572.1322e0, 76973.1028e0, 77381.6284e0, 77800.6092e0, 78189.328e0, 78607.0962e0, 79012.2508e0, 79407.8358e0, 79825.725e0, 80238.701e0, 80646.891e0, 81035.6436e0, 81460.0448e0, 81876.3884e0], [11816.475e0, 11605.0046e0, 11395.3792e0, 11188.7504e0, 10984.1814e0, 10782.0086e0, 10582.0072e0, 10384.503e0, 10189.178e0, 9996.2738e0, 9806.0344e0, 9617.9798e0, 9431.394e0, 9248.7784e0, 9067.6894e0, 8889.6824e0, 8712.9134e0, 8538.8624e0, 8368.4944e0, 8197.7956e0, 8031.8916e0, 7866.6316e0, 7703.733e0, 7544.5726e0, 7386.204e0, 7230.666e0, 7077.8516e0, 6926.7886e0, 6778.6902e0, 6631.9632e0, 6487.304e0, 6346.7486e0, 6206.4408e0, 6070.202e0, 5935.2576e0, 5799.924e0, 5671.0324e0, 5541.9788e0, 5414.6112e0, 5290.0274e0, 5166.723e0, 5047.6906e0, 4929.162e0, 4815.1406e0, 4699.127e0, 4588.5606e0, 4477.7394e0, 4369.4014e0, 4264.2728e0, 4155.9224e0, 4055.581e0, 3955.505e0, 3856.9618e0, 3761.3828e0, 3666.9702e0, 3575.7764e0, 3482.4132e0, 3395.0186e0, 3305.8852e0, 3221.415e0, 3138.6024e0, 3056.296e0, 2970.4494e0, 2896.1526e0, 2816.8008e0, 2740.2156e0, 2670.497e0, 2594.1458e0, 2527.111e0, 2460.8168e0, 2387.5114e0, 2322.9498e0, 2260.6752e0, 2194.2686e0, 2133.7792e0, 2074.767e0, 2015.204e0, 1959.4226e0, 1898.6502e0, 1850.006e0, 1792.849e0, 1741.4838e0, 1687.9778e0, 1638.1322e0, 1589.3266e0, 1543.1394e0, 1496.8266e0, 1447.8516e0, 1402.7354e0, 1361.9606e0, 1327.0692e0, 1285.4106e0, 1241.8112e0, 1201.6726e0, 1161.973e0, 1130.261e0, 1094.2036e0, 1048.2036e0, 1020.6436e0, 990.901400000002e0, 961.199800000002e0, 924.769800000002e0, 899.526400000002e0, 872.346400000002e0, 834.375e0, 810.432000000001e0, 780.659800000001e0, 756.013800000001e0, 733.479399999997e0, 707.923999999999e0, 673.858e0, 652.222399999999e0, 636.572399999997e0, 615.738599999997e0, 586.696400000001e0, 564.147199999999e0, 541.679600000003e0, 523.943599999999e0, 505.714599999999e0, 475.729599999999e0, 461.779600000002e0, 449.750800000002e0, 439.020799999998e0, 412.7886e0, 400.245600000002e0, 383.188199999997e0, 362.079599999997e0, 357.533799999997e0, 334.319000000003e0, 327.553399999997e0, 308.559399999998e0, 291.270199999999e0, 279.351999999999e0, 271.791400000002e0, 252.576999999997e0, 247.482400000001e0, 236.174800000001e0, 218.774599999997e0, 220.155200000001e0, 208.794399999999e0, 201.223599999998e0, 182.995600000002e0, 185.5268e0, 164.547400000003e0, 176.5962e0, 150.689599999998e0, 157.8004e0, 138.378799999999e0, 134.021200000003e0, 117.614399999999e0, 108.194000000003e0, 97.0696000000025e0, 89.6042000000016e0, 95.6030000000028e0, 84.7810000000027e0, 72.635000000002e0, 77.3482000000004e0, 59.4907999999996e0, 55.5875999999989e0, 50.7346000000034e0, 61.3916000000027e0, 50.9149999999936e0, 39.0384000000049e0, 58.9395999999979e0, 29.633600000001e0, 28.2032000000036e0, 26.0078000000067e0, 17.0387999999948e0, 9.22000000000116e0, 13.8387999999977e0, 8.07240000000456e0, 14.1549999999988e0, 15.3570000000036e0, 3.42660000000615e0, 6.24820000000182e0, -2.96940000000177e0, -8.79940000000352e0, -5.97860000000219e0, -14.4048000000039e0, -3.4143999999942e0, -13.0148000000045e0, -11.6977999999945e0, -25.7878000000055e0, -22.3185999999987e0, -24.409599999999e0, -31.9756000000052e0, -18.9722000000038e0, -22.8678000000073e0, -30.8972000000067e0, -32.3715999999986e0, -22.3907999999938e0, -43.6720000000059e0, -35.9038e0, -39.7492000000057e0, -54.1641999999993e0, -45.2749999999942e0, -42.2989999999991e0, -44.1089999999967e0, -64.3564000000042e0, -49.9551999999967e0, -42.6116000000038e0]),
                lambda pair: [pow(193609743.86875492e0 / inverses - pair[1], 2), pair[2]]
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
    CASE WHEN ms > 0 THEN ceil(ln(ms::DOUBLE) * 49.99833328888678e0)::INTEGER END;

-- The milliseconds that a bucket stands for, within 1 % of everything in it. The bucket null is exactly 0.
--> round(bucket_ms(231), 3) = 100.495
CREATE OR REPLACE MACRO bucket_ms(bucket) AS
    CASE WHEN bucket IS NULL THEN 0 ELSE exp(least(bucket * 0.020000666706669435e0 + -0.010050335853501338e0, 709.782712893384e0)) END;

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

CREATE OR REPLACE VIEW logs AS
  SELECT NULL::VARCHAR AS "tier", NULL::VARCHAR AS "kind", NULL::TIMESTAMPTZ AS "timestamp", NULL::VARCHAR AS "method", NULL::VARCHAR AS "protocol", NULL::VARCHAR AS "path", NULL::VARCHAR AS "query", NULL::VARCHAR AS "endpoint", NULL::USMALLINT AS "status", NULL::DOUBLE AS "duration_ms", NULL::BIGINT AS "bytes", NULL::VARCHAR AS "user_id", NULL::VARCHAR AS "client_ip", NULL::VARCHAR AS "host", NULL::VARCHAR AS "referer", NULL::VARCHAR AS "user_agent", NULL::VARCHAR AS "level", NULL::VARCHAR AS "app_name", NULL::VARCHAR AS "message", NULL::VARCHAR AS "trace_id", NULL::VARCHAR AS "extra", NULL::VARCHAR AS "source", NULL::BIGINT AS "line", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day", NULL::BIGINT AS "hour" WHERE false
  UNION ALL BY NAME
  SELECT 'hot' AS tier, * REPLACE (hour(timestamp) AS hour) FROM read_parquet([
    'hot/year=2025/month=1/day=17/hour=__HIVE_DEFAULT_PARTITION__/1a227260636104ed5b1-0.parquet',
    'hot/year=2025/month=1/day=19/hour=__HIVE_DEFAULT_PARTITION__/1a22726070801911d0e-0.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT, hour: BIGINT});

CREATE OR REPLACE VIEW traffic AS
  SELECT NULL::TIMESTAMPTZ AS "minute", NULL::VARCHAR AS "kind", NULL::USMALLINT AS "status", NULL::VARCHAR AS "level", NULL::VARCHAR AS "method", NULL::VARCHAR AS "host", NULL::VARCHAR AS "app_name", NULL::BIGINT AS "requests", NULL::BIGINT AS "events", NULL::DECIMAL(38, 0) AS "bytes", NULL::TIMESTAMPTZ AS "first", NULL::TIMESTAMPTZ AS "last", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day" WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet([
    'rollups/traffic/year=2025/month=1/day=17/1a227260636104ed5b1-1.parquet',
    'rollups/traffic/year=2025/month=1/day=19/1a22726070801911d0e-1.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT});

CREATE OR REPLACE VIEW latency AS
  SELECT NULL::TIMESTAMPTZ AS "minute", NULL::INTEGER AS "bucket", NULL::BIGINT AS "count", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day" WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet([
    'rollups/latency/year=2025/month=1/day=17/1a227260636104ed5b1-2.parquet',
    'rollups/latency/year=2025/month=1/day=19/1a22726070801911d0e-2.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT});

CREATE OR REPLACE VIEW endpoints AS
  SELECT NULL::TIMESTAMPTZ AS "hour", NULL::VARCHAR AS "method", NULL::VARCHAR AS "endpoint", NULL::UTINYINT AS "status_class", NULL::INTEGER AS "bucket", NULL::BIGINT AS "requests", NULL::BIGINT AS "timed", NULL::DECIMAL(38, 0) AS "bytes", NULL::DECIMAL(38, 0) AS "us", NULL::BIGINT AS "us_min", NULL::BIGINT AS "us_max", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day" WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet([
    'rollups/endpoints/year=2025/month=1/day=17/1a227260636104ed5b1-3.parquet',
    'rollups/endpoints/year=2025/month=1/day=19/1a22726070801911d0e-3.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT});

CREATE OR REPLACE VIEW users AS
  SELECT minute, list(register::UINTEGER * 64 + rank) AS registers, year, month, day FROM (
  SELECT NULL::TIMESTAMPTZ AS "minute", NULL::USMALLINT AS "register", NULL::UTINYINT AS "rank", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day" WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet([
    'rollups/users/year=2025/month=1/day=17/1a227260636104ed5b1-4.parquet',
    'rollups/users/year=2025/month=1/day=19/1a22726070801911d0e-4.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT})
  ) GROUP BY ALL;

CREATE OR REPLACE VIEW lines AS
  SELECT NULL::TIMESTAMPTZ AS "minute", NULL::VARCHAR AS "source", NULL::VARCHAR AS "format", NULL::BIGINT AS "lines", NULL::BIGINT AS "bytes", NULL::BIGINT AS "rejected", NULL::BIGINT AS "ignored", NULL::BIGINT AS "year", NULL::BIGINT AS "month", NULL::BIGINT AS "day" WHERE false
  UNION ALL BY NAME
  SELECT * FROM read_parquet([
    'rollups/lines/year=2025/month=1/day=17/1a227260636104ed5b1-5.parquet',
    'rollups/lines/year=2025/month=1/day=19/1a22726070801911d0e-5.parquet'
  ], hive_partitioning = true, hive_types = {year: BIGINT, month: BIGINT, day: BIGINT});
