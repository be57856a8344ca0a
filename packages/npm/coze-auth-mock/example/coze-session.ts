// Keeps people and services logged in to Coze, over @coze/api. This is the program; its tests are beside it.
import { APIError, type JWTToken, type OAuthToken, refreshOAuthToken } from '@coze/api';

const RENEWED_BEFORE = 60; // seconds before the end of a token

const endsSoon = (token: { expires_in: number }) => Date.now() / 1000 >= token.expires_in - RENEWED_BEFORE;

/** Coze does not take the refresh token any more: the person has to log in again. */
export class LoginNeeded extends Error {}

/** Coze did not answer, or what stands before it did. The login may still be good. */
export class TryLater extends Error {}

export interface App {
  baseURL: string;
  clientId: string;
  clientSecret?: string;
}

/** The login of one person. `save` gets each new token. */
export class Session {
  constructor(
    private readonly app: App,
    private token: OAuthToken,
    private readonly save: (token: OAuthToken) => void,
  ) {}

  /** An access token that is valid for a minute at least. */
  async accessToken(): Promise<string> {
    if (endsSoon(this.token)) await this.renew();
    return this.token.access_token;
  }

  private async renew(): Promise<void> {
    let token;
    try {
      token = await refreshOAuthToken({ ...this.app, refreshToken: this.token.refresh_token });
    } catch (error) {
      // A refusal of Coze has a code of OAuth; a page of a gateway and a broken connection have none.
      const { rawError, logid, status } = error as APIError;
      if (rawError?.error_code === 'invalid_grant') throw new LoginNeeded(logid ?? '', { cause: error });
      throw new TryLater(`HTTP ${status}`, { cause: error });
    }
    // Refresh tokens work once, so the new one is kept before anything else happens.
    this.save(token);
    this.token = token;
  }
}

/** The token of a service, for `new CozeAPI({ token: () => service.accessToken() })`. */
export class Service {
  private token?: JWTToken;

  constructor(private readonly ask: () => Promise<JWTToken>) {}

  async accessToken(): Promise<string> {
    if (!this.token || endsSoon(this.token)) this.token = await this.ask();
    return this.token.access_token;
  }
}
