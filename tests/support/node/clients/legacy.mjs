// Follows and places orders with the client of the older protocol; prints what it is told.
import { SubscriptionClient } from 'subscriptions-transport-ws';

const [url] = process.argv.slice(2);
const [errors, results] = [[], []];
let began;

const client = new SubscriptionClient(url, {
  reconnect: true,
  connectionCallback: (error) => {
    began ??= performance.now();
    errors.push(error?.message);
    if (errors.length < 5) return;
    const seconds = (performance.now() - began) / 1000;
    console.log(JSON.stringify({ errors, results, seconds }));
    process.exit(0);
  },
});
const create = `mutation {
  createOrder(input: {table: "1", items: [{name: "Soup", quantity: 1}]}) { order { id } }
}`;
for (const query of [create, 'subscription { orderCreated(last: 1) { id } }']) {
  const keep = (result) => results.push(result);
  client.request({ query }).subscribe({ next: keep, error: keep, complete: keep });
}
