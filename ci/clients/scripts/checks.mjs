// The same as checks.py for Node.
export const SERVICE = process.env.SERVICE_URL
export const URL = `${SERVICE}/v1`
export const MODEL = process.env.MODEL
export const QUESTION = 'Name a bird.'

export const PERSON = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 150 } },
  required: ['name', 'age'],
  additionalProperties: false
}

export function require (condition, value) {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(value)}`)
}

export async function run (checks) {
  for (const [check, action] of Object.entries(checks)) {
    let error = null
    try {
      await action()
    } catch (failure) {
      error = String(failure.stack ?? failure).slice(0, 1500)
    }
    console.log(`{"check": ${JSON.stringify(check)}, "error": ${JSON.stringify(error)}}`)
  }
}
