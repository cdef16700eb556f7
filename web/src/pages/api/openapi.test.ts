import { describe, expect, it } from 'vitest';
import { endpoints, example, search, shape, type Document } from './openapi';

const document: Document = {
  openapi: '3.1.0',
  info: { title: 'Consilium', version: '1' },
  paths: {
    '/api/rooms/{room}': {
      parameters: [{ name: 'room', in: 'path', required: true, schema: { type: 'string', maxLength: 64 } }],
      get: { summary: 'One room', responses: { 200: { description: 'ok', content: { 'application/json': { schema: { $ref: '#/components/schemas/Room' } } } } } },
      delete: { summary: 'Close it', responses: { 204: { description: 'gone' } } },
    },
  },
  components: {
    schemas: {
      Room: {
        type: 'object',
        required: ['id'],
        properties: {
          id: { type: 'string', minLength: 1, maxLength: 64, description: 'Its id' },
          role: { enum: ['host', 'viewer'] },
          next: { anyOf: [{ $ref: '#/components/schemas/Room' }, { type: 'null' }] },
          tags: { type: 'array', items: { type: ['string', 'null'] } },
        },
      },
    },
  },
};

describe('the page of the HTTP API', () => {
  it('lists operations with parameters of path and operation', () => {
    const all = endpoints(document);
    expect(all.map((one) => `${one.method} ${one.path}`)).toEqual(['GET /api/rooms/{room}', 'DELETE /api/rooms/{room}']);
    expect(all[0]!.parameters[0]).toMatchObject({ name: 'room', where: 'path', required: true, shape: 'string' });
    expect(all[1]!.responses[0]).toEqual({ status: '204', description: 'gone', contents: [] });
  });
  it('finds operations by every word of a query', () => {
    expect(search(endpoints(document), 'close room').map((one) => one.method)).toEqual(['DELETE']);
    expect(search(endpoints(document), 'nothing')).toEqual([]);
    expect(search(endpoints(document), '')).toHaveLength(2);
  });
  it('writes a schema that refers to itself, with an end', () => {
    const text = shape(document, { $ref: '#/components/schemas/Room' });
    expect(text).toContain('id: string  // Its id; 1–64 characters');
    expect(text).toContain('role?: "host" | "viewer"');
    expect(text).toContain('tags?: (string | null)[]');
    expect(text.length).toBeLessThan(5000);
    expect(JSON.stringify(example(document, { $ref: '#/components/schemas/Room' }))).toContain('"role":"host"');
  });
  it('survives a reference that leads nowhere', () => {
    expect(shape(document, { $ref: '#/components/schemas/None' })).toBe('any');
    expect(shape(document, { $ref: 'https://example.org/x' })).toBe('any');
  });
});
