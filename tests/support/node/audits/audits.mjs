// Runs all server audits of graphql-http against a server; prints a line of JSON for each.
import { serverAudits } from 'graphql-http';
import { getIntrospectionQuery } from 'graphql';

const [url] = process.argv.slice(2);
for (const audit of serverAudits({ url })) {
  const { status, reason } = await audit.fn();
  console.log(JSON.stringify({ id: audit.id, name: audit.name, status, reason }));
}
// What GraphiQL and code generators ask first.
const options = [true, false].flatMap((all) => [
  {
    descriptions: all,
    specifiedByUrl: all,
    directiveIsRepeatable: all,
    schemaDescription: all,
    inputValueDeprecation: all,
    oneOf: all,
  },
]);
for (const each of options) {
  const body = JSON.stringify({ query: getIntrospectionQuery(each) });
  const headers = { 'content-type': 'application/json' };
  const { data, errors } = await (await fetch(url, { method: 'POST', headers, body })).json();
  const status = data?.__schema && !errors ? 'ok' : 'error';
  console.log(JSON.stringify({ id: 'introspection', name: JSON.stringify(each), status, reason: errors }));
}
