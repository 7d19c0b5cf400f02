"""Reads an export with engines that know nothing of us, and says what they find.

Standard input: JSON with `place` (a directory, or s3://…), `engines` (duckdb, spark), `docs` (docs/warehouse.md, whose questions
are asked too), `endpoint`, `key`, `secret` (of an object store). Standard output: JSON, by engine.
"""

import glob
import json
import re
import sys

KEYS = "month, cast(day AS VARCHAR(10)) AS day, coalesce(adjusts, '') AS adjusts, tenant, provider, model, evidence"
# Sums as texts: exact, whatever a client makes of decimals.
SUMS = """
SELECT {keys}, line.class AS class, cast(sum(line.quantity) AS BIGINT) AS quantity,
       cast(sum(line.charge_usd) AS VARCHAR(64)) AS charge, cast(sum(line.cost_usd) AS VARCHAR(64)) AS cost,
       cast(sum(line.unpriced) AS BIGINT) AS unpriced, cast(sum(line.fallback) AS BIGINT) AS fallback
FROM {lines} GROUP BY month, day, adjusts, tenant, provider, model, evidence, line.class
UNION ALL
SELECT {keys}, 'calls', cast(sum(calls) AS BIGINT), '0', '0', 0, 0
FROM ledger GROUP BY month, day, adjusts, tenant, provider, model, evidence
"""
TOTALS = """
SELECT tenant, cast(sum(calls) AS BIGINT), cast(coalesce(sum(input_tokens), 0) AS BIGINT),
       cast(coalesce(sum(output_tokens), 0) AS BIGINT), cast(coalesce(sum(web_searches), 0) AS BIGINT),
       cast(sum(charge_usd) AS VARCHAR(64)), cast(sum(cost_usd) AS VARCHAR(64))
FROM ledger GROUP BY tenant
"""
ENTRIES = "SELECT writer, entry, hash, kind FROM ledger ORDER BY writer, entry"
# Facts of the event are in the rows of its corrections, too.
FACTS = """
SELECT kind, operation, cast(stream AS VARCHAR(5)), status, size(flags), tags['team'] FROM ledger
WHERE kind IN ('call', 'reversal', 'correction', 'release') ORDER BY writer, entry
"""


def blocks(docs, language, place):
    """The examples of the documentation."""
    with open(docs, encoding="utf-8") as file:
        found = re.findall(rf"```{language}\n(.*?)```", file.read(), re.S)
    return [block.replace("DIR", place) for block in found]


def duckdb_finds(asked):
    import duckdb

    place = asked["place"]
    connection = duckdb.connect()
    if place.startswith("s3://"):
        package = duckdb.__file__.rsplit("/duckdb/", 1)[0] + "/duckdb_extension_httpfs"
        (extension,) = glob.glob(f"{package}/extensions/*/httpfs.duckdb_extension")
        (block,) = blocks(asked["docs"], "sql s3", place)
        for said, here in {
            "INSTALL httpfs;": "",
            "LOAD httpfs;": f"LOAD '{extension}';",
            "'KEY'": f"'{asked['key']}'",
            "'SECRET'": f"'{asked['secret']}'",
            "'minio.example:9000'": f"'{asked['endpoint'].removeprefix('http://')}'",
            "USE_SSL true": "USE_SSL false",
        }.items():
            assert block.count(said) == 1, f"{said} in {block}"
            block = block.replace(said, here)
        connection.execute(block)
    answers = []
    for block in blocks(asked["docs"], "sql", place):
        for statement in filter(None, map(str.strip, block.split(";\n"))):
            if statement.startswith("SELECT"):
                # Whole, and without this client's notion of a time zone.
                connection.execute(f"CREATE OR REPLACE TABLE asked AS {statement.rstrip(';')}")
                answers += connection.execute("SELECT count(*) FROM asked").fetchone()
                columns = [column for column, *_ in connection.execute("DESCRIBE asked").fetchall()]
                if "tenant" in columns:
                    nobody = connection.execute("SELECT count(*) FROM asked WHERE tenant = ''").fetchone()
                    assert nobody == (0,), f"a row of nobody: {statement}"
            else:
                connection.execute(statement)
    rows = lambda sql: [list(row) for row in connection.execute(sql).fetchall()]
    types = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE ledger)").fetchall())
    return {
        "answers": answers,
        "entries": rows(ENTRIES),
        "sums": rows(SUMS.format(keys=KEYS, lines="(SELECT *, unnest(lines) AS line FROM ledger)")),
        "totals": rows(TOTALS),
        "facts": rows(FACTS.replace("size(", "len(")),
        "types": [types[name] for name in ("month", "tenant_hash", "day", "charge_usd", "started_at")],
    }


def spark_finds(asked):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").appName("warehouse")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.log.level": "ERROR",
    }.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    names = {"spark": spark}
    for block in blocks(asked["docs"], "python", asked["place"]):
        exec(block, names)  # pylint: disable=exec-used
    ledger, bill = names["ledger"], names["bill"]
    assert bill.where("tenant = ''").count() == 0, "a row of nobody"
    ledger.createOrReplaceTempView("ledger")
    rows = lambda sql: [list(row) for row in spark.sql(sql).collect()]
    keys = KEYS.replace("VARCHAR(10)", "STRING")
    text = lambda sql: re.sub(r"VARCHAR\(\d+\)", "STRING", sql)
    types = dict(ledger.dtypes)
    found = {
        "answers": [bill.count()],
        "entries": rows(ENTRIES),
        "sums": rows(text(SUMS.format(keys=keys, lines="(SELECT *, explode(lines) AS line FROM ledger)"))),
        "totals": rows(text(TOTALS)),
        "facts": rows(text(FACTS)),
        "types": [types[name] for name in ("month", "tenant_hash", "day", "charge_usd", "started_at")],
    }
    spark.stop()
    return found


def main():
    asked = json.load(sys.stdin)
    engines = {"duckdb": duckdb_finds, "spark": spark_finds}
    json.dump({engine: engines[engine](asked) for engine in asked["engines"]}, sys.stdout)


main()
