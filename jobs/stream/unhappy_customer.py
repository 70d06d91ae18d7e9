# Ratings of one star: somebody should call.
# owner: support
# key: order_id
# severity: ticket
from headrace import alert_view


@alert_view
def unhappy_customer(ratings_changes):
    from pyflink.table.expressions import col

    bad = ratings_changes.filter(col("stars") <= 1)
    return bad.select(col("order_id"), col("stars"), col("comment"), col("event_time").alias("rated_at"))
