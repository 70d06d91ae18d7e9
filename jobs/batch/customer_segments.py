# Customers by what they spend and how they pay: the same thresholds for the newsletter and the service desk.
# owner: marketing
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

from headrace import batch_view

CHAMPION, REGULAR = 200, 60  # spent at least, in the currency of the orders


@batch_view
def customer_segments(customers: DataFrame, orders: DataFrame, loyalty_accounts: DataFrame) -> DataFrame:
    """One row per customer who ever ordered."""
    kept = orders.where("status <> 'cancelled'").groupBy("customer_id")
    spent = kept.agg(
        f.sum("total").alias("spent"), f.count("*").alias("orders"), f.max("placed_at").alias("last_order_at")
    )
    members = loyalty_accounts.select(f.col("account_id").alias("customer_id"), "tier", "points")
    rows = spent.join(customers.withColumnRenamed("id", "customer_id"), "customer_id").join(
        members, "customer_id", "left"
    )
    tier = f.coalesce("tier", f.lit("none")).alias("tier")
    return rows.select("customer_id", "city", "orders", "spent", "last_order_at", tier, segment().alias("segment"))


def segment() -> Column:
    """The name of a customer's segment."""
    spent = f.col("spent")
    return f.when(spent >= CHAMPION, "champion").when(spent >= REGULAR, "regular").otherwise("occasional")
