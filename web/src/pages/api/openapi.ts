/** What the page shows of an OpenAPI 3 document: operations, and schemas written as a person would write them. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  title?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  default?: unknown;
  example?: unknown;
  examples?: unknown;
}
interface Content {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, { value?: unknown }>;
}
interface Parameter {
  $ref?: string;
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}
interface Body {
  $ref?: string;
  description?: string;
  required?: boolean;
  content?: Record<string, Content>;
}
interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  deprecated?: boolean;
  parameters?: Parameter[];
  requestBody?: Body;
  responses?: Record<string, Body>;
  security?: Record<string, string[]>[];
}
export interface Document {
  openapi: string;
  info: { title: string; version: string; description?: string };
  tags?: { name: string; description?: string }[];
  paths: Record<string, Record<string, unknown> & { parameters?: Parameter[] }>;
  components?: Record<string, Record<string, unknown>>;
}

export interface Example {
  type: string;
  shape: string;
  example: string | null;
}
export interface Endpoint {
  id: string;
  method: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  security: string[];
  parameters: { name: string; where: string; required: boolean; shape: string; description: string }[];
  body: { description: string; contents: Example[] } | null;
  responses: { status: string; description: string; contents: Example[] }[];
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** Every operation, in the order of the document. */
export function endpoints(document: Document): Endpoint[] {
  const found: Endpoint[] = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method] as Operation | undefined;
      if (!operation) continue;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(document, one));
      const body = operation.requestBody && resolve(document, operation.requestBody);
      found.push({
        id: `${method}${path.replace(/[^A-Za-z0-9]+/g, '-')}`,
        method: method.toUpperCase(),
        path,
        tag: operation.tags?.[0] ?? '',
        summary: operation.summary ?? '',
        description: operation.description ?? '',
        security: (operation.security ?? []).map((one) => Object.keys(one).join(' + ')).filter(Boolean),
        parameters: parameters.map((one) => ({
          name: one.name,
          where: one.in,
          required: one.required === true,
          shape: shape(document, one.schema ?? {}),
          description: one.description ?? one.schema?.description ?? '',
        })),
        body: body ? { description: body.description ?? '', contents: contents(document, body) } : null,
        responses: Object.entries(operation.responses ?? {}).map(([status, answer]) => {
          const whole = resolve(document, answer);
          return { status, description: whole.description ?? '', contents: contents(document, whole) };
        }),
      });
    }
  }
  return found;
}

/** Those in which every word of the query stands somewhere. */
export function search(all: readonly Endpoint[], query: string): Endpoint[] {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((one) => {
    const text = [one.method, one.path, one.summary, one.description, one.tag, ...one.parameters.map((parameter) => parameter.name)].join(' ').toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

function contents(document: Document, body: Body): Example[] {
  return Object.entries(body.content ?? {}).map(([type, content]) => {
    const schema = content.schema ?? {};
    const given = content.example ?? Object.values(content.examples ?? {})[0]?.value;
    const made = given !== undefined ? given : type.includes('json') && content.schema ? example(document, schema) : undefined;
    return { type, shape: content.schema ? shape(document, schema) : '', example: made === undefined ? null : JSON.stringify(made, null, 2) };
  });
}

/** Follows `$ref` within the document, eight steps at most. */
function resolve<T extends object>(document: Document, value: T): T {
  let found: unknown = value;
  for (let step = 0; step < 8; step += 1) {
    const ref = (found as { $ref?: string }).$ref;
    if (!ref?.startsWith('#/')) break;
    const keys = ref.slice(2).split('/').map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
    const next = keys.reduce<unknown>((at, key) => (at && typeof at === 'object' ? (at as Record<string, unknown>)[key] : undefined), document);
    if (!next || typeof next !== 'object') break;
    found = next;
  }
  return found as T;
}

const DEEPEST = 6;

/** A schema in the words of TypeScript, with bounds and meanings as comments. */
export function shape(document: Document, schema: Schema, depth = 0): string {
  const whole = resolve(document, schema);
  if (depth > DEEPEST) return 'object';
  const pad = '  '.repeat(depth);
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((one) => JSON.stringify(one)).join(' | ');
  const choice = whole.anyOf ?? whole.oneOf;
  if (choice) return [...new Set(choice.map((one) => shape(document, one, depth)))].join(' | ');
  if (whole.allOf) return whole.allOf.map((one) => shape(document, one, depth)).join(' & ');
  if (Array.isArray(whole.type)) return whole.type.map((type) => shape(document, { ...whole, type }, depth)).join(' | ');
  if (whole.properties) {
    const lines = Object.entries(whole.properties).map(([name, inner]) => {
      const note = [inner.description ?? resolve(document, inner).description, bounds(resolve(document, inner))].filter(Boolean).join('; ');
      const value = shape(document, inner, depth + 1);
      return `${pad}  ${name}${whole.required?.includes(name) ? '' : '?'}: ${value}${note ? `  // ${note.replace(/\s+/g, ' ')}` : ''}`;
    });
    return lines.length ? `{\n${lines.join('\n')}\n${pad}}` : '{}';
  }
  if (whole.type === 'array') {
    const inner = shape(document, whole.items ?? {}, depth);
    return inner.includes(' | ') && !inner.startsWith('{') ? `(${inner})[]` : `${inner}[]`;
  }
  if (whole.type === 'object') {
    return typeof whole.additionalProperties === 'object' ? `{ [key]: ${shape(document, whole.additionalProperties, depth)} }` : 'object';
  }
  return whole.format ? `${whole.type ?? 'string'} (${whole.format})` : (whole.type ?? 'any');
}

function bounds(schema: Schema): string {
  const said: string[] = [];
  if (schema.minLength !== undefined || schema.maxLength !== undefined) said.push(`${schema.minLength ?? 0}–${schema.maxLength ?? '∞'} characters`);
  if (schema.minimum !== undefined || schema.maximum !== undefined) said.push(`${schema.minimum ?? '−∞'}–${schema.maximum ?? '∞'}`);
  if (schema.pattern) said.push(schema.pattern);
  if (schema.default !== undefined && schema.default !== null) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join(', ');
}

/** A value that fits the schema, from its own examples where it has them. */
export function example(document: Document, schema: Schema, depth = 0): unknown {
  const whole = resolve(document, schema);
  if (whole.example !== undefined) return whole.example;
  if (Array.isArray(whole.examples) && whole.examples.length) return whole.examples[0];
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  if (whole.default !== undefined && whole.default !== null) return whole.default;
  if (depth > DEEPEST) return null;
  const choice = whole.anyOf ?? whole.oneOf;
  if (choice?.length) return example(document, choice[0]!, depth + 1);
  if (whole.allOf) return Object.assign({}, ...whole.allOf.map((one) => example(document, one, depth + 1)));
  if (whole.properties) {
    return Object.fromEntries(Object.entries(whole.properties).map(([name, inner]) => [name, example(document, inner, depth + 1)]));
  }
  switch (Array.isArray(whole.type) ? whole.type[0] : whole.type) {
    case 'array':
      return [example(document, whole.items ?? {}, depth + 1)];
    case 'object':
      return {};
    case 'integer':
    case 'number':
      return Math.max(whole.minimum ?? 0, 0);
    case 'boolean':
      return false;
    case 'null':
      return null;
    default:
      return whole.format === 'date-time' ? '2026-01-31T09:30:00Z' : 'string';
  }
}
