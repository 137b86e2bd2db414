// What of a conversation is sent. A model reads only so many tokens: when a conversation outgrows them, its oldest turns
// are left out, so that there is always room for an answer.
import { ApiError } from '../shared/api';
import type { ChatResult } from './completion';
import type { ChatMessage } from './messages';

// The history without its oldest turn, that is up to the next question; nothing when only the last question is left.
function withoutOldestTurn(history: ChatMessage[]): ChatMessage[] | null {
  const next = history.findIndex((message, index) => index > 0 && message.role === 'user');
  return next > 0 ? history.slice(next) : null;
}

const characters = (history: ChatMessage[]): number =>
  history.reduce((sum, message) => sum + message.content.length, 0);

export class History {
  private contextTokens = Infinity; // until the server says
  private tokensPerCharacter = 0; // until an answer has been counted: send all, and see

  setContext(tokens: number): void {
    if (tokens > 0) this.contextTokens = tokens;
  }

  // Sends as much of `messages` as leaves room for an answer: by the count of the last answer, and where that was too
  // hopeful, by what the server refuses. `trimmed` in the result: something was left out.
  async send(
    messages: ChatMessage[],
    longestAnswer: number,
    stream: (history: ChatMessage[]) => Promise<ChatResult>,
  ): Promise<ChatResult & { trimmed: boolean }> {
    let history = this.fitting(messages, longestAnswer);
    for (;;) {
      try {
        const result = await stream(history);
        this.count(history, result);
        return { ...result, trimmed: history.length < messages.length };
      } catch (error) {
        const shorter = withoutOldestTurn(history);
        if (!(error instanceof ApiError) || error.code !== 'context_length_exceeded' || !shorter) throw error;
        history = shorter;
      }
    }
  }

  private fitting(messages: ChatMessage[], longestAnswer: number): ChatMessage[] {
    const room = this.contextTokens - Math.min(longestAnswer, this.contextTokens / 4);
    let history = messages;
    while (characters(history) * this.tokensPerCharacter > room) {
      const shorter = withoutOldestTurn(history);
      if (!shorter) break;
      history = shorter;
    }
    return history;
  }

  private count(history: ChatMessage[], result: ChatResult): void {
    const length = characters(history);
    if (length > 0 && result.promptTokens > 0) this.tokensPerCharacter = result.promptTokens / length;
  }
}
