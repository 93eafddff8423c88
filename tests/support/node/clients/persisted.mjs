// Runs operations with a client that sends hashes first; prints what was sent and what it got.
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { createClient } from 'graphql-ws';

const [url, kind, hashesBy, accept] = process.argv.slice(2);
const sent = [];

async function watchedFetch(address, options) {
  const { searchParams } = new URL(address);
  const body = options.method === 'POST' ? JSON.parse(options.body) : Object.fromEntries(searchParams);
  const extensions = typeof body.extensions === 'string' ? JSON.parse(body.extensions) : body.extensions;
  const response = await fetch(address, options);
  sent.push({
    method: options.method,
    query: 'query' in body,
    hash: Boolean(extensions?.persistedQuery),
    status: response.status,
  });
  return response;
}

const ORDERS = 'query Orders($first: Int) { orders(first: $first) { nodes { id table } } }';
const TIME = 'query Time { serverTime }';
const CREATE = `mutation Create($input: CreateOrderInput!) {
  createOrder(input: $input) { order { id table } errors { code } }
}`;
const FOLLOW = 'subscription Follow { orderCreated(last: 1) { id table } }';
const input = { table: '7', items: [{ name: 'Soup', quantity: 1 }] };
const headers = accept ? { accept } : {};

function apollo() {
  const sha256 = (text) => createHash('sha256').update(text).digest('hex');
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.from([
      new PersistedQueryLink({ sha256, useGETForHashedQueries: hashesBy === 'GET' }),
      new HttpLink({ uri: url, fetch: watchedFetch, headers }),
    ]),
  });
  return {
    query: (text, variables) =>
      client.query({ query: gql(text), variables, fetchPolicy: 'network-only' }),
    mutate: (text, variables) => client.mutate({ mutation: gql(text), variables }),
  };
}

function urql() {
  const socket = createClient({ url: url.replace('http', 'ws') });
  const client = new Client({
    url,
    fetch: watchedFetch,
    fetchOptions: { headers },
    preferGetMethod: false,
    requestPolicy: 'network-only',
    exchanges: [
      persistedExchange({
        preferGetForPersistedQueries: hashesBy === 'GET' ? 'force' : false,
        enableForMutation: true,
        enableForSubscriptions: true,
      }),
      fetchExchange,
      // As urql's documentation has it.
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => {
            const payload = { ...request, query: request.query || '' };
            sent.push({
              method: 'socket',
              query: Boolean(payload.query),
              hash: Boolean(payload.extensions?.persistedQuery),
            });
            return { unsubscribe: socket.subscribe(payload, sink) };
          },
        }),
      }),
    ],
  });
  return {
    query: (text, variables) => client.query(text, variables).toPromise(),
    mutate: (text, variables) => client.mutation(text, variables).toPromise(),
    follow: (text) => new Promise((resolve) => client.subscription(text, {}).subscribe(resolve)),
  };
}

const client = { apollo, urql }[kind]();
const first = hashesBy === 'socket' ? [await client.follow(FOLLOW)] : [];
const results = [
  ...first,
  ...(hashesBy === 'mutation' ? [await client.mutate(CREATE, { input })] : []),
  await client.query(ORDERS, { first: 1 }),
  await client.query(TIME, {}),
  await client.mutate(CREATE, { input }),
];
const shown = results.map(({ data, error }) => ({ data, error: error?.message }));
console.log(JSON.stringify({ sent, results: shown }));
process.exit(0);
