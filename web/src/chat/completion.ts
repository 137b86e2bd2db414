// One streamed chat completion.
import { ApiError, call, callJson } from '../shared/api';
import type { ChatMessage, ToolCall } from './messages';
import { SseParser } from './sse';

export interface ServedModel {
  name: string;
  contextTokens: number;
}

export async function servedModels(key: string): Promise<ServedModel[]> {
  const { data } = await callJson<{ data: { id: string; context_length?: number }[] }>('/v1/models', { key });
  return data.map(({ id, context_length }) => ({ name: id, contextTokens: context_length ?? 0 }));
}

export interface ChatOptions {
  key: string;
  parameters: Record<string, unknown>; // model, temperature, tools ...: into the request as they are
  signal: AbortSignal;
  onText: (text: string) => void;
  onReasoning: (text: string) => void;
  onToolCalls: (calls: ToolCall[]) => void; // all of them, as far as they have come
}

export interface ChatResult {
  finishReason: string;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  requestId: string;
}

interface CallDelta {
  index: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; tool_calls?: CallDelta[] };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_cache_hit_tokens?: number } | null;
  error?: { message: string; code?: string | null };
}

function addCall(calls: ToolCall[], delta: CallDelta): void {
  const made = (calls[delta.index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } });
  if (delta.id) made.id = delta.id;
  made.function.name += delta.function?.name ?? '';
  made.function.arguments += delta.function?.arguments ?? '';
}

// Rejects with ApiError when the server says no, with AbortError after signal.abort(), and with ApiError
// "interrupted" when the stream ends without its [DONE].
export async function streamChat(messages: ChatMessage[], options: ChatOptions): Promise<ChatResult> {
  const response = await call('/v1/chat/completions', {
    method: 'POST',
    key: options.key,
    signal: options.signal,
    body: { ...options.parameters, messages, stream: true, stream_options: { include_usage: true } },
  });
  const result: ChatResult = {
    finishReason: '',
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    requestId: response.headers.get('x-request-id') ?? '',
  };
  const calls: ToolCall[] = [];
  let done = false;
  const parser = new SseParser((data) => {
    if (data === '[DONE]') {
      done = true;
      return;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ApiError(chunk.error.message, chunk.error.code ?? '');
    const choice = chunk.choices?.[0];
    if (choice?.delta?.reasoning_content) options.onReasoning(choice.delta.reasoning_content);
    if (choice?.delta?.content) options.onText(choice.delta.content);
    if (choice?.delta?.tool_calls) {
      for (const delta of choice.delta.tool_calls) addCall(calls, delta);
      options.onToolCalls(calls);
    }
    if (choice?.finish_reason) result.finishReason = choice.finish_reason;
    if (chunk.usage) {
      result.promptTokens = chunk.usage.prompt_tokens;
      result.cachedTokens = chunk.usage.prompt_cache_hit_tokens ?? 0;
      result.completionTokens = chunk.usage.completion_tokens;
    }
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
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
