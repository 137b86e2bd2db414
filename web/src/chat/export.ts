// A conversation as a file.
import type { Conversation } from './conversations';
import type { StoredMessage } from './messages';

const fence = (text: string, language = ''): string => {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const marks = '`'.repeat(longest + 1);
  return `${marks}${language}\n${text}\n${marks}`;
};

function markdownOf(message: StoredMessage): string {
  const parts: string[] = [];
  if (message.reasoning_content) parts.push(`<details><summary>Reasoning</summary>\n\n${fence(message.reasoning_content)}\n\n</details>`);
  if (message.content !== '') parts.push(message.role === 'tool' ? fence(message.content) : message.content);
  for (const call of message.tool_calls ?? []) parts.push(`Calls \`${call.function.name}\` (${call.id}):\n\n${fence(call.function.arguments, 'json')}`);
  const who = { user: 'You', assistant: message.model ?? 'Hadal', tool: `Result of ${message.tool_call_id ?? 'a tool'}`, system: 'System' };
  return `## ${who[message.role]}\n\n${parts.join('\n\n')}`;
}

export const asMarkdown = (conversation: Conversation): string =>
  [`# ${conversation.title}`, ...conversation.messages.map(markdownOf)].join('\n\n') + '\n';

// With messages as the API takes them, and what the page knows beside.
export const asJson = ({ title, updated, messages }: Conversation): string =>
  `${JSON.stringify({ title, updated: new Date(updated).toISOString(), messages }, null, 2)}\n`;

export const fileName = (conversation: Conversation, extension: string): string =>
  `${conversation.title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 40) || 'conversation'}.${extension}`;
