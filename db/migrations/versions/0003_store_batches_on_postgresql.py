"""Create the function that stores a batch on PostgreSQL, in one message and one transaction."""

from alembic import op

revision = "0003"
down_revision = "0002"

# What a running version calls stays as it is: another way to store is a function of another name.
# Each statement of it sees what was committed before the head's row was had.
_STORE_BATCH = """
CREATE FUNCTION bistro92_store_batch(
    given_epoch varchar, published_seq bigint, published_at_us bigint,
    tables varchar[], keys varchar[],
    item_orders integer[], item_positions integer[],
    item_names varchar[], item_quantities integer[],
    kind varchar, channel text, origin text, lock_timeout_ms integer
) RETURNS TABLE (
    continues boolean, epoch varchar, last_seq bigint, last_order_id bigint, now_us bigint,
    stored integer,
    id bigint, seq bigint, table_name varchar, created_at_us bigint, idempotency_key varchar,
    items text
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    head log_head;
    known varchar[];
    at_us bigint;
    count integer := 0;
BEGIN
    PERFORM set_config('lock_timeout', lock_timeout_ms::text, true);
    PERFORM set_config('synchronous_commit', 'on', true)
      WHERE current_setting('synchronous_commit') = 'off';
    SELECT * INTO STRICT head FROM log_head FOR NO KEY UPDATE;
    at_us := extract(epoch FROM clock_timestamp()) * 1000000;
    -- A log that went back and grew again has the same numbers.
    continues := head.epoch = given_epoch AND head.last_seq >= published_seq AND (
        published_seq = 0 OR EXISTS (
            SELECT FROM log_entries WHERE seq = published_seq AND created_at_us = published_at_us
        )
    );

    known := ARRAY(
        SELECT orders.idempotency_key
          FROM unnest(keys) AS given (key) JOIN orders ON orders.idempotency_key = given.key
    );
    IF continues THEN
        WITH new AS MATERIALIZED (
            SELECT given.number, given.table_name, given.key,
                   row_number() OVER (ORDER BY given.number) AS place
              FROM unnest(tables, keys) WITH ORDINALITY AS given (table_name, key, number)
             WHERE given.key IS NULL OR given.key <> ALL (known)
        ), new_orders AS (
            INSERT INTO orders (id, seq, table_name, created_at_us, idempotency_key)
            SELECT head.last_order_id + place, head.last_seq + place, table_name, at_us, key
              FROM new
        ), new_items AS (
            INSERT INTO order_items (order_id, position, name, quantity)
            SELECT head.last_order_id + place, item.position, item.name, item.quantity
              FROM unnest(item_orders, item_positions, item_names, item_quantities)
                   AS item (number, position, name, quantity)
              JOIN new ON new.number = item.number
        ), new_entries AS (
            INSERT INTO log_entries (seq, kind, order_id, created_at_us)
            SELECT head.last_seq + place, kind, head.last_order_id + place, at_us
              FROM new
        )
        SELECT count(*) INTO count FROM new;
    END IF;
    IF count > 0 THEN
        UPDATE log_head
           SET last_seq = head.last_seq + count, last_order_id = head.last_order_id + count;
        PERFORM pg_notify(channel, origin);
    END IF;

    RETURN QUERY
    SELECT continues, head.epoch, head.last_seq, head.last_order_id, at_us, count, keyed.*
      FROM (VALUES (1)) AS one LEFT JOIN (
               SELECT orders.id, orders.seq, orders.table_name, orders.created_at_us,
                      orders.idempotency_key, (
                          SELECT json_agg(json_build_array(name, quantity) ORDER BY position)
                            FROM order_items WHERE order_id = orders.id
                      )::text
                 FROM orders WHERE orders.idempotency_key = ANY (known)
           ) AS keyed ON true;
END $$
"""


def upgrade() -> None:
    """Create the function."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_STORE_BATCH)
