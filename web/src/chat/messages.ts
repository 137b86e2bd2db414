// A conversation's messages: as the API takes them, and what the page keeps beside them.
export interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  reasoning_content?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export type Rating = 'up' | 'down';

export interface StoredMessage extends ChatMessage {
  note?: string; // "42 tokens", "stopped": shown below the message, not sent
  thoughtSeconds?: number;
  requestId?: string; // the answer's, for feedback
  rating?: Rating;
  model?: string;
}

// Without what only the page knows. The reasoning stays here: the models' formats drop it from the history.
export function toWire({ role, content, tool_calls, tool_call_id }: StoredMessage): ChatMessage {
  return {
    role,
    content,
    ...(tool_calls && tool_calls.length > 0 ? { tool_calls } : {}),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
  };
}

// The calls of the last answer that nobody has answered yet.
export function openCalls(messages: StoredMessage[]): ToolCall[] {
  const answered = new Set(messages.map((message) => message.tool_call_id));
  const last = [...messages].reverse().find((message) => message.role === 'assistant');
  return last?.tool_calls?.filter((call) => !answered.has(call.id)) ?? [];
}
