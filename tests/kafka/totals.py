"""A Spark job over the relay's topic: prints what each tenant owes and has used, as JSON."""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

brokers, topic, jars = sys.argv[1:4]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", jars)
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
messages = (
    spark.read.format("kafka")
    .option("kafka.bootstrap.servers", brokers)
    .option("kafka.isolation.level", "read_committed")
    .option("subscribe", topic)
    .option("startingOffsets", "earliest")
    .load()
)
entry = F.from_json(
    F.col("value").cast("string"),
    "tenant STRING, charge STRING, cost STRING, calls BIGINT, usage MAP<STRING, BIGINT>, counts_on STRING",
)
counted = messages.select(entry.alias("entry")).select("entry.*").where("counts_on IS NOT NULL")
owed = counted.groupBy("tenant").agg(
    F.sum("calls").alias("calls"),
    F.sum(F.col("charge").cast("decimal(38,24)")).alias("charge"),
    F.sum(F.col("cost").cast("decimal(38,24)")).alias("cost"),
)
used = counted.select("tenant", F.explode("usage").alias("class", "count")).groupBy("tenant", "class").agg(F.sum("count").alias("count"))
usage = {}
for row in used.collect():
    usage.setdefault(row["tenant"], {})[row["class"]] = row["count"]
for row in owed.collect():
    line = {"tenant": row["tenant"], "calls": row["calls"], "charge": str(row["charge"]), "cost": str(row["cost"])}
    print(json.dumps({**line, "usage": usage.get(row["tenant"], {})}))
spark.stop()
