// Writes or reads one item with dynamodb-toolbox: `node todo.mjs write|read`, with the endpoint in the environment. Prints
// the item that it read as JSON. NODE_PATH does not apply to ES modules, so the packages come from TOOLBOX.
import { createRequire } from 'node:module'

const require = createRequire(process.env.TOOLBOX + '/')
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')
const { DynamoDBDocumentClient } = require('@aws-sdk/lib-dynamodb')
const toolbox = require('dynamodb-toolbox')
const { Entity, Table, item, string, number, boolean, set, list, map, PutItemCommand, GetItemCommand } = toolbox

const table = new Table({
  documentClient: DynamoDBDocumentClient.from(new DynamoDBClient({})),
  name: 'todos',
  partitionKey: { name: 'pk', type: 'string' },
  sortKey: { name: 'sk', type: 'string' },
})
const entity = new Entity({
  table,
  name: 'Todo',
  schema: item({
    list: string().key(),
    id: string().key(),
    title: string().savedAs('t'),
    tags: set(string()),
    rank: number(),
    done: boolean(),
    steps: list(map({ what: string(), at: number() })),
  }),
  computeKey: ({ list, id }) => ({ pk: `LIST#${list}`, sk: `TODO#${id}` }),
})

if (process.argv[2] === 'write') {
  const todo = {
    list: 'home',
    id: 'toolbox',
    title: 'Paint the door',
    tags: new Set(['red', 'blue']),
    rank: 2.5,
    done: false,
    steps: [{ what: 'buy paint', at: 1 }, { what: 'paint', at: 2 }],
  }
  await entity.build(PutItemCommand).item(todo).send()
} else {
  const key = { list: 'home', id: process.argv[3] }
  const { Item } = await entity.build(GetItemCommand).key(key).options({ consistent: true }).send()
  console.log(JSON.stringify(Item, (_, value) => (value instanceof Set ? [...value].sort() : value)))
}
