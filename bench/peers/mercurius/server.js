// The same API on Fastify and Mercurius, the fastest Node GraphQL server with subscriptions that
// we know of: queries compiled at their first use, prepared statements, one transaction per order.
import assert from 'node:assert';
import Database from 'better-sqlite3';
import Fastify from 'fastify';
import mercurius from 'mercurius';

const db = new Database(process.env.BENCH_DATABASE);
db.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, created_at TEXT NOT NULL,
    idempotency_key TEXT UNIQUE
  );
  CREATE TABLE IF NOT EXISTS order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id), position INTEGER NOT NULL,
    name TEXT NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY (order_id, position)
  ) WITHOUT ROWID;
`);
// Kept for the whole life of the process, as every statement here: it may not be collected.
const readSynchronous = db.prepare('PRAGMA synchronous');
assert.strictEqual(readSynchronous.get().synchronous, 2, 'synchronous must be FULL');

const insertOrder = db.prepare(
  'INSERT INTO orders (table_name, created_at, idempotency_key) VALUES (?, ?, ?)',
);
const insertItem = db.prepare('INSERT INTO order_items VALUES (?, ?, ?, ?)');
const selectPage = db.prepare('SELECT * FROM orders WHERE id < ? ORDER BY id DESC LIMIT ?');
const selectItems = db.prepare(
  'SELECT * FROM order_items WHERE order_id BETWEEN ? AND ? ORDER BY order_id, position',
);
const selectByKey = db.prepare('SELECT * FROM orders WHERE idempotency_key = ?');

const addOrder = db.transaction((input, createdAt) => {
  const { lastInsertRowid } = insertOrder.run(input.table, createdAt, input.idempotencyKey ?? null);
  input.items.forEach((item, position) =>
    insertItem.run(lastInsertRowid, position, item.name, item.quantity),
  );
  return Number(lastInsertRowid);
});

function toOrders(rows) {
  if (rows.length === 0) return [];
  const itemsOf = new Map(rows.map((row) => [row.id, []]));
  for (const item of selectItems.all(rows.at(-1).id, rows[0].id)) {
    itemsOf.get(item.order_id).push(item);
  }
  return rows.map((row) => ({
    id: row.id,
    table: row.table_name,
    items: itemsOf.get(row.id),
    createdAt: row.created_at,
    cursor: String(row.id),
  }));
}

const schema = `
  type Order { id: ID! table: String! items: [OrderItem!]! createdAt: String! cursor: String! }
  type OrderItem { name: String! quantity: Int! }
  type OrderConnection { nodes: [Order!]! }
  type OrderError { code: String! message: String! field: String }
  type CreateOrderPayload { order: Order errors: [OrderError!]! }
  input OrderItemInput { name: String! quantity: Int! }
  input CreateOrderInput { table: String! items: [OrderItemInput!]! idempotencyKey: String }
  type Query { orders(first: Int = 50, after: String): OrderConnection! }
  type Mutation { createOrder(input: CreateOrderInput!): CreateOrderPayload! }
  type Subscription { orderCreated: Order! }
`;

const resolvers = {
  Query: {
    orders: (_, { first, after }) => ({
      nodes: toOrders(selectPage.all(after ? Number(after) : Number.MAX_SAFE_INTEGER, first)),
    }),
  },
  Mutation: {
    createOrder: async (_, { input }, { pubsub }) => {
      const stored = input.idempotencyKey ? selectByKey.get(input.idempotencyKey) : undefined;
      if (stored) return { order: toOrders([stored])[0], errors: [] };
      const createdAt = new Date().toISOString();
      const id = addOrder(input, createdAt);
      const order = { id, table: input.table, items: input.items, createdAt, cursor: String(id) };
      await pubsub.publish({ topic: 'orderCreated', payload: { orderCreated: order } });
      return { order, errors: [] };
    },
  },
  Subscription: {
    orderCreated: { subscribe: async (_, __, { pubsub }) => pubsub.subscribe('orderCreated') },
  },
};

const app = Fastify();
app.register(mercurius, { schema, resolvers, jit: 1, subscription: true });
await app.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) });
