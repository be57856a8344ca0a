// What a browser does with the faults of the way back to the app, and what page, journal and `explain` say of it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WEB, authorizeUrl, exchange, id, open, post } from './harness.mjs'
import { exchanges, freePort, startLogin } from './loopback.mjs'

/** What `explain` says, at the request that the fault was placed on. */
const SAID = {
  consent_policy: /a browser stops the redirect to the app after the decision, so the code was issued and nobody gets it/,
  callback_307: /The redirect to the app is a 307: a browser sends the form of the consent page with it, as a POST/,
  callback_twice: /The answer to the decision is a page that requests the callback twice, with the same code and state/,
}

/** An app that notes what comes to its callback. */
async function startApp() {
  const came = []
  const server = createServer(async (request, reply) => {
    let body = ''
    for await (const part of request) body += part
    if (request.url.startsWith('/callback')) came.push({ method: request.method, url: request.url, headers: request.headers, body })
    reply.setHeader('content-type', 'text/html').end('<!doctype html><title>app</title><link rel=icon href=data:,>back')
  })
  await new Promise((good) => server.listen(0, '127.0.0.1', good))
  return { came, callback: `http://127.0.0.1:${server.address().port}/callback`, stop: () => server.close() }
}

const placed = (at, kind) => post(at, '/_mock/v1/faults', { on: { endpoint: 'authorize' }, fault: { kind }, times: 1 })

/** The status of an exchange of the code, and the rule that refused it. */
async function exchanged(at, code, redirect_uri) {
  const { status, json } = await exchange(at, WEB, code, { redirect_uri }, 'mock-web-secret')
  const { requests } = await (await fetch(`${at}/_mock/v1/requests`)).json()
  return [status, json.error_code, requests.at(-1).outcome.rule ?? undefined]
}

export default function (test) {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'script' : 'no-script'
    const test_ = (kind, run) =>
      test(`callback.${kind} (${how})`, async ({ browser, base }) => {
        const at = `${base}/t/${kind.replace('_', '-')}-${how}`
        const app = await startApp()
        const { page, context } = await open(browser, { javaScriptEnabled })
        const told = []
        page.on('console', (message) => told.push(message.text()))
        try {
          await placed(at, kind)
          await page.goto(authorizeUrl(at, WEB, { redirect_uri: app.callback }))
          assert.match(page.url(), /\/oauth\/consent\?authorize_key=/)
          await run({ at, app, page, told })
          const { requests } = await (await fetch(`${at}/_mock/v1/requests`)).json()
          assert.deepEqual([requests[0].endpoint, requests[0].fault], ['authorize', kind])
          const { logid } = requests[0].outcome
          const { text } = await (await fetch(`${at}/_mock/v1/explain/${logid}`)).json()
          assert.match(text, SAID[kind])
          await page.goto(`${at}/_mock/request?logid=${logid}`)
          assert.equal(await id(page, 'meaning').innerText(), text)
          // The next login is as ever.
          app.came.length = 0
          await page.goto(authorizeUrl(at, WEB, { redirect_uri: app.callback }))
          await id(page, 'approve').click()
          await page.waitForURL(`${app.callback}?**`)
          assert.deepEqual(app.came.map(({ method }) => method), ['GET'])
        } finally {
          await context.close()
          app.stop()
        }
      })

    test_('consent_policy', async ({ at, app, page, told }) => {
      const consent = page.url()
      const sent = page.waitForEvent('requestfailed', (one) => one.method() === 'POST')
      await id(page, 'approve').click({ noWaitAfter: true })
      const form = await sent
      assert.equal(form.url(), `${at}/oauth/consent`, 'the decision is sent')
      assert.equal(page.url(), consent, 'the page stays as it is')
      assert.ok(await id(page, 'approve').isVisible())
      assert.deepEqual(app.came, [], 'the app gets nothing')
      // The console names the address that the policy allows, and not the app's.
      assert.equal(told.length, 1, String(told))
      assert.ok(told[0].startsWith(`Sending form data to '${form.url()}' violates`) && told[0].includes("form-action 'self'"), told[0])
      assert.ok(!told[0].includes(app.callback))
      // The decision was taken, so its code is lost: whoever presses again is told.
      await id(page, 'approve').click()
      assert.match(await page.locator('main').innerText(), /This request has been decided already/)
      assert.deepEqual(app.came, [])
    })

    test_('callback_307', async ({ at, app, page, told }) => {
      const key = new URL(page.url()).searchParams.get('authorize_key')
      await id(page, 'approve').click()
      await page.waitForURL(`${app.callback}?**`)
      assert.equal(app.came.length, 1)
      const [{ method, url, headers, body }] = app.came
      const form = new URLSearchParams(body)
      assert.deepEqual([method, headers.origin, form.get('authorize_key'), form.get('action')], ['POST', 'null', key, 'approve'])
      const { code, state } = Object.fromEntries(new URL(url, app.callback).searchParams)
      assert.equal(state, 'state-1')
      assert.deepEqual(await exchanged(at, code, app.callback), [200, undefined, undefined], 'the code is good')
      assert.deepEqual(told, [])
    })

    test_('callback_twice', async ({ at, app, page, told }) => {
      await id(page, 'approve').click()
      await page.waitForURL(`${app.callback}?**`)
      const came = app.came.map(({ method, headers }) => [method, headers['sec-fetch-dest']])
      assert.deepEqual(came, [['GET', 'image'], ['GET', 'document']])
      assert.equal(app.came[0].url, app.came[1].url, 'the same code and state')
      const { code, state } = Object.fromEntries(new URL(app.came[0].url, app.callback).searchParams)
      assert.equal(state, 'state-1')
      assert.deepEqual(await exchanged(at, code, app.callback), [200, undefined, undefined])
      assert.deepEqual(await exchanged(at, code, app.callback), [400, 'invalid_grant', 'code.single_use'])
      assert.deepEqual(told, [])
    })
  }

  // What the login of the command makes of each: it takes one callback, by GET and in a tab, and waits for it.
  test('callback.command', async ({ browser, two }) => {
    const base = `${two}/t/callback-command`
    const redirect = `http://127.0.0.1:${await freePort()}/callback`
    const home = mkdtempSync(join(tmpdir(), 'login-'))
    const { page, context } = await open(browser)
    const logins = []
    const approve = async (kind) => {
      await placed(base, kind)
      logins.push(await startLogin(home, base, redirect))
      await page.goto(logins.at(-1).url)
      await id(page, 'approve').click({ noWaitAfter: true })
      return logins.at(-1)
    }
    try {
      const stopped = page.waitForEvent('console', (message) => message.text().includes('form-action'))
      const first = await approve('consent_policy')
      await stopped
      first.waits()
      await first.kill()

      const second = await approve('callback_307')
      await page.locator('h1', { hasText: 'A callback is a GET' }).waitFor()
      second.waits()
      await second.kill()
      assert.deepEqual(await exchanges(base), [])

      const third = await approve('callback_twice')
      await page.waitForURL(new URL('/done', redirect).href)
      const { status, told } = await third.end()
      assert.equal(status, 0, told)
      assert.deepEqual(await exchanges(base), [200], 'one exchange for two callbacks')
    } finally {
      await context.close()
      await Promise.all(logins.map((login) => login.kill()))
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    }
  })
}
