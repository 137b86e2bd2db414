// The server's API as the page uses it: one streamed chat completion at a time.
import { SseParser } from './sse';

export interface ChatMessage {
  role: 'user' | 'assistant';
  content: string;
}

export interface ChatOptions {
  temperature: number;
  maxTokens: number;
  signal: AbortSignal;
  onText: (text: string) => void;
}

export interface ChatResult {
  finishReason: string;
  promptTokens: number;
  completionTokens: number;
}

export interface ServedModel {
  name: string;
  contextTokens: number;
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message: string; code?: string | null };
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as Chunk;
    if (error) return new ApiError(error.message, error.code ?? '');
  } catch {
    // Not our server's JSON: a proxy, perhaps.
  }
  return new ApiError(`The server answered with status ${response.status}.`, '');
}

export async function servedModel(): Promise<ServedModel> {
  const response = await fetch('/v1/models');
  if (!response.ok) throw await errorOf(response);
  const list = (await response.json()) as { data: { id: string; context_length?: number }[] };
  return { name: list.data[0]?.id ?? '', contextTokens: list.data[0]?.context_length ?? 0 };
}

// Rejects with ApiError when the server says no, with AbortError after signal.abort(), and with ApiError
// "interrupted" when the stream ends without its [DONE].
export async function streamChat(messages: ChatMessage[], options: ChatOptions): Promise<ChatResult> {
  let response: Response;
  try {
    response = await fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        messages,
        stream: true,
        stream_options: { include_usage: true },
        temperature: options.temperature,
        max_tokens: options.maxTokens,
      }),
      signal: options.signal,
    });
  } catch (error) {
    if (options.signal.aborted) throw error;
    throw new ApiError('The server cannot be reached. Is hadal serve still running?', 'unreachable');
  }
  if (!response.ok || !response.body) throw await errorOf(response);

  const result: ChatResult = { finishReason: '', promptTokens: 0, completionTokens: 0 };
  let done = false;
  const parser = new SseParser((data) => {
    if (data === '[DONE]') {
      done = true;
      return;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ApiError(chunk.error.message, chunk.error.code ?? '');
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) options.onText(choice.delta.content);
    if (choice?.finish_reason) result.finishReason = choice.finish_reason;
    if (chunk.usage) {
      result.promptTokens = chunk.usage.prompt_tokens;
      result.completionTokens = chunk.usage.completion_tokens;
    }
  });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { value, done: closed } = await reader.read();
      if (closed) break;
      parser.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    if (options.signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError('The connection to the server broke off.', 'interrupted');
  }
  if (!done) throw new ApiError('The connection to the server broke off.', 'interrupted');
  return result;
}
