import OpenAI from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { MODEL, PERSON, QUESTION, URL, require, run } from './checks.mjs'

const client = new OpenAI({ baseURL: URL, apiKey: 'none', maxRetries: 0 })
const options = { model: MODEL, temperature: 0 }
const turn = { role: 'user', content: QUESTION }
const Person = z.object({ name: z.string().max(12), age: z.number().int().min(0).max(150) })

await run({
  'chats': async () => {
    const messages = [turn]
    for (let round = 0; round < 3; round++) {
      const answer = await client.chat.completions.create({ ...options, messages, max_completion_tokens: 8 })
      require(answer.choices[0].message.content, answer)
      messages.push(answer.choices[0].message, turn)
    }
  },
  'streams of chats': async () => {
    const chunks = await client.chat.completions.create({ ...options, messages: [turn], max_tokens: 8, stream: true })
    let text = ''
    for await (const chunk of chunks) text += chunk.choices[0].delta.content ?? ''
    const whole = await client.chat.completions.stream({ ...options, messages: [turn], max_tokens: 8 }).finalContent()
    require(text && text === whole, [text, whole])
  },
  'parsed chats': async () => {
    const format = zodResponseFormat(Person, 'person')
    const answer = await client.chat.completions.parse({ ...options, messages: [turn], response_format: format })
    const { message } = answer.choices[0]
    require(Person.parse(message.parsed), message)
    const messages = [turn, message, turn]
    const again = await client.chat.completions.parse({ ...options, messages, response_format: format })
    require(Person.parse(again.choices[0].message.parsed), again)
  },
  'tools that the model may call': async () => {
    const add = { name: 'add', description: 'Add a person.', parameters: PERSON }
    const tools = [{ type: 'function', function: add }]
    const answer = await client.chat.completions.create({ ...options, messages: [turn], tools, max_tokens: 8 })
    const { message } = answer.choices[0]
    require(message.content || message.tool_calls, answer)
    const request = { ...options, input: [turn], tools: [{ type: 'function', ...add }], max_output_tokens: 8 }
    const response = await client.responses.create(request)
    require(response.output.length, response)
  },
  'completions of several prompts': async () => {
    const answer = await client.completions.create({ ...options, prompt: ['a heron', 'an owl'], max_tokens: 4, logprobs: 1 })
    require(answer.choices.length === 2 && answer.choices[1].logprobs.tokens.length === 4, answer)
  },
  'responses': async () => {
    const first = await client.responses.create({ ...options, input: QUESTION, max_output_tokens: 8 })
    require(first.output_text, first)
    const input = [turn, ...first.output, turn]
    const again = await client.responses.create({ ...options, input, max_output_tokens: 8 })
    require(again.output_text, again)
  },
  'streams of responses': async () => {
    const stream = client.responses.stream({ ...options, input: QUESTION, max_output_tokens: 8 })
    let text = ''
    stream.on('response.output_text.delta', event => { text += event.delta })
    const whole = await stream.finalResponse()
    require(text && text === whole.output_text, [text, whole])
  },
  'parsed responses': async () => {
    const text = { format: zodTextFormat(Person, 'person') }
    const answer = await client.responses.parse({ ...options, input: 'Invent a person.', text })
    require(Person.parse(answer.output_parsed), answer)
  }
})
