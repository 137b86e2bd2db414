// Requests to the server that this page came from, with the key that the person has given.
export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly status = 0, // of HTTP; 0: none came
  ) {
    super(message);
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error?: { message: string; code?: string | null } };
    if (error) return new ApiError(error.message, error.code ?? '', response.status);
  } catch {
    // Not our server's JSON: a proxy, perhaps.
  }
  return new ApiError(`The server answered with status ${response.status}.`, '', response.status);
}

export interface Call {
  method?: 'GET' | 'POST' | 'PUT';
  body?: unknown; // sent as JSON
  key: string; // empty: none
  signal?: AbortSignal;
}

// Rejects with ApiError for a status from 400 on or when nothing answers, with the signal's reason after abort().
export async function call(path: string, { method = 'GET', body, key, signal }: Call): Promise<Response> {
  const headers: Record<string, string> = {};
  if (key !== '') headers['Authorization'] = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      cache: 'no-store',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('The server cannot be reached. Is hadal serve still running?', 'unreachable');
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

export async function callJson<T>(path: string, options: Call): Promise<T> {
  return (await (await call(path, options)).json()) as T;
}
