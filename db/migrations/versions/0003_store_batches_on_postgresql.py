"""Create the function that stores a batch on PostgreSQL, in one message and one transaction."""

from alembic import op

revision = "0003"
down_revision = "0002"

# What a running version calls stays as it is: another way to store is a function of another name.
# Each statement of it sees what was committed before the head's row was had. The answer is small
# whatever the batch is: it goes out before the commit, and nobody may have to read it for that.
# No plan of an empty table may outlive it; the cost of those that have no other would call the JIT.
_STORE_BATCH = """
CREATE FUNCTION bistro92_store_batch(
    given_epoch varchar, published_seq bigint, published_at_us bigint,
    tables varchar[], keys varchar[],
    item_orders integer[], item_positions integer[],
    item_names varchar[], item_quantities integer[],
    kind varchar, channel text, origin text, lock_timeout_ms integer,
    OUT continues boolean, OUT last_seq bigint, OUT last_order_id bigint, OUT now_us bigint,
    OUT known integer[], OUT stored integer
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    head log_head;
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout_ms::text, true);
    PERFORM set_config('synchronous_commit', 'on', true)
      WHERE current_setting('synchronous_commit') = 'off';
    SELECT * INTO STRICT head FROM log_head FOR NO KEY UPDATE;
    last_seq := head.last_seq;
    last_order_id := head.last_order_id;
    now_us := extract(epoch FROM clock_timestamp()) * 1000000;
    stored := 0;
    -- A log that went back and grew again has the same numbers.
    continues := head.epoch = given_epoch AND head.last_seq >= published_seq AND (
        published_seq = 0 OR EXISTS (
            SELECT FROM log_entries WHERE seq = published_seq AND created_at_us = published_at_us
        )
    );
    IF NOT continues THEN
        RETURN;
    END IF;
    known := ARRAY(
        SELECT given.number
          FROM unnest(keys) WITH ORDINALITY AS given (key, number)
          JOIN orders ON orders.idempotency_key = given.key
    );
    WITH new AS MATERIALIZED (
        SELECT given.number, given.table_name, given.key,
               row_number() OVER (ORDER BY given.number) AS place
          FROM unnest(tables, keys) WITH ORDINALITY AS given (table_name, key, number)
         WHERE given.number <> ALL (known)
    ), new_orders AS (
        INSERT INTO orders (id, seq, table_name, created_at_us, idempotency_key)
        SELECT head.last_order_id + place, head.last_seq + place, table_name, now_us, key
          FROM new
    ), new_items AS (
        INSERT INTO order_items (order_id, position, name, quantity)
        SELECT head.last_order_id + place, item.position, item.name, item.quantity
          FROM unnest(item_orders, item_positions, item_names, item_quantities)
               AS item (number, position, name, quantity)
          JOIN new ON new.number = item.number
    ), new_entries AS (
        INSERT INTO log_entries (seq, kind, order_id, created_at_us)
        SELECT head.last_seq + place, kind, head.last_order_id + place, now_us
          FROM new
    )
    SELECT count(*) INTO stored FROM new;
    IF stored > 0 THEN
        UPDATE log_head
           SET last_seq = head.last_seq + stored, last_order_id = head.last_order_id + stored;
        PERFORM pg_notify(channel, origin);
    END IF;
END $$
"""


def upgrade() -> None:
    """Create the function."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_STORE_BATCH)
