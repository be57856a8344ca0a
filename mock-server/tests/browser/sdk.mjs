// The released build of @coze/api for pages, in a page of another origin: which flows it does.
import assert from 'node:assert/strict'
import { DEVICE, PKCE, WEB, id, open, post } from './harness.mjs'
import { PORT } from './pages.mjs'

const PAGE = `http://localhost:${PORT}`
const table = []

/** Runs `flow` in the page, with the SDK; the error is what the SDK says of it. */
const inPage = (page, flow, given) =>
  page.evaluate(
    async ([flow, given]) => {
      const told = ({ message, status, rawError, code }) => ({ message, status, rawError, code, name: undefined })
      try {
        return { ok: await new Function('CozeJs', 'given', `return (${flow})(CozeJs, given)`)(window.CozeJs, given) }
      } catch (why) {
        return { error: { ...told(why), logid: why.logid, name: why.constructor.name } }
      }
    },
    [flow.toString(), given],
  )

/** The code that the person's approval brings to the page. */
async function approved(page, url) {
  await page.goto(url)
  assert.match(page.url(), /\/oauth\/consent\?authorize_key=/)
  await id(page, 'approve').click()
  await page.waitForURL(`${PAGE}/app/callback?**`)
  return new URL(page.url()).searchParams.get('code')
}

const me = (sdk, { base, token }) => new sdk.CozeAPI({ baseURL: base, token, allowPersonalAccessTokenInBrowser: true }).users.me()
const refresh = (sdk, { base, client, secret, token }) => sdk.refreshOAuthToken({ baseURL: base, clientId: client, clientSecret: secret, refreshToken: token })

const row = (flow, what) => table.push([flow, what])

/** Refreshes twice with one token, and calls the API with what the first brings. */
async function refreshes(page, flow, given, refreshToken) {
  const first = await inPage(page, refresh, { ...given, token: refreshToken })
  assert.ok(first.ok?.access_token, JSON.stringify(first))
  const user = await inPage(page, me, { ...given, token: first.ok.access_token })
  assert.equal(user.ok?.user_name, 'alice', JSON.stringify(user))
  const spent = await inPage(page, refresh, { ...given, token: refreshToken })
  assert.equal(spent.error.status, 400, JSON.stringify(spent))
  assert.equal(spent.error.rawError.error_code, 'invalid_grant')
  const logid = spent.error.logid
  assert.match(logid ?? '', /^\w{10}/, 'the log id of the header is read, which has to be exposed')
  const explained = await (await fetch(`${given.base}/_mock/v1/explain/${logid}`)).json()
  assert.equal(explained.rule, 'refresh.rotate')
  row(flow, 'login, refresh, /v1/users/me; a spent refresh token: invalid_grant with its log id')
}

export default function (test) {
  test('sdk.pkce', async ({ browser, base }) => {
    const given = { base: `${base}/t/umd-pkce`, client: PKCE }
    const { page, context } = await open(browser)
    await page.goto(`${PAGE}/app`)
    const login = (sdk, { base, client }) =>
      sdk.getPKCEAuthenticationUrl({ baseURL: base, clientId: client, redirectUrl: `${location.origin}/app/callback`, state: 's' })
    const started = await inPage(page, login, given)
    const code = await approved(page, started.ok.url)
    const exchange = (sdk, { base, client, code, codeVerifier }) =>
      sdk.getPKCEOAuthToken({ baseURL: base, clientId: client, redirectUrl: `${location.origin}/app/callback`, code, codeVerifier })
    const tokens = await inPage(page, exchange, { ...given, code, codeVerifier: started.ok.codeVerifier })
    assert.ok(tokens.ok?.access_token, JSON.stringify(tokens))
    await refreshes(page, 'PKCE', given, tokens.ok.refresh_token)
    const { requests } = await (await fetch(`${given.base}/_mock/v1/requests`)).json()
    assert.deepEqual(requests.map(({ method }) => method), ['GET', 'POST', 'POST', 'GET', 'POST'], 'preflights are not in the journal')
    await context.close()
  })

  test('sdk.web', async ({ browser, base }) => {
    const given = { base: `${base}/t/umd-web`, client: WEB, secret: 'mock-web-secret' }
    const { page, context } = await open(browser)
    await page.goto(`${PAGE}/app`)
    const url = (sdk, { base, client }) =>
      sdk.getWebAuthenticationUrl({ baseURL: base, clientId: client, redirectUrl: `${location.origin}/app/callback`, state: 's' })
    const code = await approved(page, (await inPage(page, url, given)).ok)
    const exchange = (sdk, { base, client, secret, code }) =>
      sdk.getWebOAuthToken({ baseURL: base, clientId: client, clientSecret: secret, redirectUrl: `${location.origin}/app/callback`, code })
    const tokens = await inPage(page, exchange, { ...given, code })
    assert.ok(tokens.ok?.access_token, JSON.stringify(tokens))
    await refreshes(page, 'web', given, tokens.ok.refresh_token)
    await context.close()
  })

  test('sdk.personal-access-token', async ({ browser, base }) => {
    const at = `${base}/t/umd-pat`
    const { page, context } = await open(browser)
    await page.goto(`${PAGE}/app`)
    const user = await inPage(page, me, { base: at, token: 'pat_mock_alice' })
    assert.equal(user.ok?.user_name, 'alice', JSON.stringify(user))
    const picture = await page.evaluate(
      (src) =>
        new Promise((good) => {
          const image = Object.assign(new Image(), { src, onload: () => good(image.naturalWidth), onerror: () => good(0) })
          document.body.append(image)
        }),
      user.ok.avatar_url,
    )
    assert.equal(picture, 96, 'the picture of the user is shown in the page')
    const dead = await inPage(page, me, { base: at, token: 'pat_mock_revoked' })
    assert.deepEqual([dead.error.status, dead.error.code], [401, 4100], JSON.stringify(dead))
    const nowhere = (sdk, { base }) => new sdk.CozeAPI({ baseURL: base, token: async () => 'pat_mock_alice' }).get('/v1/nobody/knows')
    const unknown = await inPage(page, nowhere, { base: at })
    assert.equal(unknown.error.code, 4000, JSON.stringify(unknown))
    await post(at, '/_mock/v1/faults', { on: { endpoint: 'users_me' }, fault: { kind: 'status', status: 503 }, times: 1 })
    const fault = await inPage(page, me, { base: at, token: 'pat_mock_alice' })
    // The SDK's number for all of them.
    assert.deepEqual([fault.error.status, fault.error.rawError.trim()], [500, 'Service Unavailable'], JSON.stringify(fault))
    row('personal access token', '/v1/users/me, avatar_url shown; a revoked token: 4100; an unknown path: 4000; a fault: its text')
    await context.close()
  })

  test('sdk.device-and-jwt', async ({ browser, base }) => {
    const { page, context } = await open(browser)
    await page.goto(`${PAGE}/app`)
    const device = (sdk, { base, client }) => sdk.getDeviceCode({ baseURL: base, clientId: client })
    const started = await inPage(page, device, { base, client: DEVICE })
    assert.match(started.error.message, /not supported in browser/)
    row('device code', `the SDK itself says: ${started.error.message}`)
    const jwt = (sdk, { base }) => sdk.getJWTToken({ baseURL: base, appId: '1', aud: 'api.coze.cn', keyid: 'k', privateKey: 'BEGIN PRIVATE KEY' })
    const granted = await inPage(page, jwt, { base })
    assert.match(granted.error.message, /not supported in browser/)
    row('JWT', `the SDK itself says: ${granted.error.message}`)
    await context.close()
  })

  test('sdk.off', async ({ browser, base }) => {
    const made = await post(base, '/_mock/v1/worlds', { name: 'umd-off', config: '[rules]\ncors.answered = "off"' })
    assert.equal(made.status, 200)
    const { page, context } = await open(browser)
    await page.goto(`${PAGE}/app`)
    const user = await inPage(page, me, { base: `${base}/t/umd-off`, token: 'pat_mock_alice' })
    assert.equal(user.error.message, 'Network Error')
    await context.close()
  })

  return () => {
    if (!table.length) return
    console.log(`\n@coze/api for pages (UMD), on ${PAGE}, with the mock on 127.0.0.1:`)
    for (const [flow, what] of table.sort()) console.log(`  ${flow.padEnd(24)} ${what}`)
  }
}
