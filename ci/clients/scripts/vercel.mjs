import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, Output, streamText, tool } from 'ai'
import { z } from 'zod'
import { MODEL, QUESTION, URL, require, run } from './checks.mjs'

const openai = createOpenAI({ baseURL: URL, apiKey: 'none' })
const compatible = createOpenAICompatible({ baseURL: URL, name: 'ours', supportsStructuredOutputs: true })
const Person = z.object({ name: z.string().max(12), age: z.number().int().min(0).max(150) })
const models = { responses: openai(MODEL), chats: openai.chat(MODEL), 'compatible chats': compatible(MODEL) }
const stateless = { openai: { store: false } } // the service stores nothing that could be referred to
const options = { temperature: 0, maxRetries: 0, maxOutputTokens: 8, providerOptions: stateless }
const tools = { add: tool({ description: 'Add a person.', inputSchema: Person }) }
const checks = {}

for (const [name, model] of Object.entries(models)) {
  checks[name] = async () => {
    const messages = [{ role: 'user', content: QUESTION }]
    const first = await generateText({ ...options, model, messages })
    require(first.text, first)
    messages.push(...first.response.messages, messages[0])
    require((await generateText({ ...options, model, messages })).text, messages)
  }
  checks[`streams of ${name}`] = async () => {
    const { textStream } = streamText({ ...options, model, prompt: QUESTION, onError: ({ error }) => { throw error } })
    let text = ''
    for await (const piece of textStream) text += piece
    require(text, text)
  }
  checks[`tools that the model may call by ${name}`] = async () => {
    const answer = await generateText({ ...options, model, prompt: QUESTION, tools })
    require(answer.text || answer.toolCalls.length, answer)
    const { textStream, toolCalls } = streamText({ ...options, model, prompt: QUESTION, tools })
    let text = ''
    for await (const piece of textStream) text += piece
    require(text || (await toolCalls).length, text)
  }
  checks[`objects by ${name}`] = async () => {
    const output = Output.object({ schema: Person })
    const answer = await generateText({ ...options, model, prompt: 'Invent a person.', output, maxOutputTokens: 80 })
    require(Person.parse(answer.output), answer)
  }
}
await run(checks)
