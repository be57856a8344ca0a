// The login of the command `coze-auth` in the browser: what old tabs, Reload, Back and a restored session do to it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PKCE, WEB, id, startProfile, violations } from './harness.mjs'

/** A port that nobody has: the redirect URI is registered, so each login has to come back to the same. */
export const freePort = () =>
  new Promise((good) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => good(port))
    })
  })

/** `coze-auth login`, in a home of its own, up to the address that its browser is started with. */
export async function startLogin(home, base, redirect, how = '--pkce') {
  const opened = join(home, 'opened')
  rmSync(opened, { force: true })
  const browser = join(home, 'browser')
  writeFileSync(browser, `#!/bin/sh\nprintf %s "$1" > "${opened}.part" && mv "${opened}.part" "${opened}"\n`)
  chmodSync(browser, 0o755)
  const client = how === '--web' ? WEB : PKCE
  const args = ['login', how, '--json', '--client-id', client, '--redirect-uri', redirect]
  const child = spawn(process.env.COMMAND, args, {
    env: { PATH: process.env.PATH, HOME: home, BROWSER: browser, COZE_API_BASE: base, COZE_WEB_OAUTH_CLIENT_SECRET: 'mock-web-secret' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let told = ''
  child.stderr.on('data', (part) => (told += part))
  const lines = []
  const over = new Promise((good) => child.once('close', (status) => good({ status, result: lines[1] && JSON.parse(lines[1]), told })))
  const url = await new Promise((good, bad) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (lines.length === 1) good(JSON.parse(line).authorize_url)
    })
    child.once('close', () => bad(new Error(`no login: ${told}`)))
  })
  for (let n = 0; !existsSync(opened); n += 1) {
    assert.ok(n < 500, 'the browser was not started')
    await new Promise((good) => setTimeout(good, 10))
  }
  assert.equal(readFileSync(opened, 'utf8'), url)
  return {
    url,
    /** Exit status, the last line of JSON, and what was told. */
    end: () => over,
    waits: () => assert.equal(child.exitCode, null, told),
    kill: async () => {
      child.kill('SIGKILL')
      await over
    },
  }
}

/** The exchanges of codes that the mock has answered, as status. */
export async function exchanges(base) {
  const { requests } = await (await fetch(`${base}/_mock/v1/requests?endpoint=token`)).json()
  return requests.filter(({ grant }) => grant === 'authorization_code').map(({ outcome }) => outcome.status)
}

/** How the consent of this address ends: by whom, and with which button. */
async function decide(page, user, button) {
  assert.match(page.url(), /\/oauth\/consent\?authorize_key=/)
  await id(page, 'user').selectOption(user)
  await id(page, button).click()
}

const title = (page) => page.locator('h1').innerText()

export default function (test) {
  test('loopback.old-tab-reload-back-restored-session', async ({ two }) => {
    const base = `${two}/t/loopback`
    const port = await freePort()
    const redirect = `http://127.0.0.1:${port}/callback`
    const home = mkdtempSync(join(tmpdir(), 'login-'))
    const profile = join(home, 'chromium')
    let browser = await startProfile(profile)
    const logins = []
    const start = async (how) => {
      logins.push(await startLogin(home, base, redirect, how))
      return logins.at(-1)
    }
    try {
      // A first try, which is killed before alice agrees. Her callback finds nobody, and Chromium loads it again and again.
      const first = await start()
      let old = await browser.newPage()
      await old.goto(first.url)
      await first.kill()
      await decide(old, 'alice', 'approve')
      await old.waitForURL(/^chrome-error:|\/callback\?/)

      // The second one has the same port, so it gets the first one's callback: from Chromium itself, within seconds.
      const second = await start()
      await old.locator('h1', { hasText: 'This tab is of another login' }).waitFor({ timeout: 20_000 })
      second.waits()
      await old.reload()
      assert.equal(await title(old), 'This tab is of another login')
      await old.goBack().catch(() => {})
      await old.goForward().catch(() => {})
      second.waits()
      assert.deepEqual(await exchanges(base), [], 'the code of the first login was not taken')

      // The consent of the second is open when the browser is restarted with both tabs.
      let tab = await browser.newPage()
      await tab.goto(second.url)
      await id(tab, 'approve').waitFor()
      await browser.close()
      browser = await startProfile(profile, '--restore-last-session')
      const restored = async (pattern) => {
        for (let n = 0; n < 500; n += 1) {
          const found = browser.pages().find((page) => pattern.test(page.url()))
          if (found) return found
          await new Promise((good) => setTimeout(good, 20))
        }
        assert.fail(`no restored tab has ${pattern}: ${browser.pages().map((page) => page.url())}`)
      }
      tab = await restored(/\/oauth\/consent\?/)
      old = await restored(/\/callback\?/)
      await old.locator('h1', { hasText: 'This tab is of another login' }).waitFor()
      second.waits()
      assert.deepEqual(await exchanges(base), [], 'a restored tab decides nothing')

      // Bob agrees in the right one, and reloads and goes back and forth while the program still stays.
      await decide(tab, 'bob', 'approve')
      await tab.waitForURL(`http://127.0.0.1:${port}/done`)
      assert.equal(await title(tab), 'Coze has answered')
      assert.equal(await tab.locator('h2').innerText(), '扣子已答复')
      const end = await second.end()
      assert.deepEqual([end.status, end.result.user.user_name], [0, 'bob'], end.told)
      assert.match(end.told, /A tab of another login has called, and can be closed/)
      assert.equal(end.told.match(/A tab of another login/g).length, 1)
      assert.deepEqual(await exchanges(base), [200], 'one exchange, the right one')
      await tab.goBack().catch(() => {})
      await tab.goForward().catch(() => {})
      await tab.reload().catch(() => {})

      // A third login meets all of these tabs, restored once more: none has a code to send, and a refusal of its own ends it.
      const third = await start('--web')
      await browser.close()
      browser = await startProfile(profile, '--restore-last-session')
      const done = await restored(/\/done$/)
      await done.reload()
      assert.equal(await title(done), 'This page is of an earlier login')
      await (await restored(/\/callback\?/)).reload()
      third.waits()
      assert.deepEqual(await exchanges(base), [200])
      const last = await browser.newPage()
      await last.goto(third.url)
      await decide(last, 'bob', 'deny')
      await last.waitForURL(`http://127.0.0.1:${port}/done`)
      assert.equal(await title(last), 'You are not logged in')
      const refused = await third.end()
      assert.equal(refused.status, 4, refused.told)
      assert.match(refused.told, /"kind":"denied"/)
      assert.deepEqual(await exchanges(base), [200], 'a refusal has nothing to exchange')
    } finally {
      await browser.close()
      await Promise.all(logins.map((login) => login.kill()))
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    }
  })

  test('loopback.pages', async ({ browser, two }) => {
    const base = `${two}/t/loopback-pages`
    const redirect = `http://127.0.0.1:${await freePort()}/callback`
    const home = mkdtempSync(join(tmpdir(), 'login-'))
    const login = await startLogin(home, base, redirect, '--web')
    const requests = []
    try {
      for (const colorScheme of ['light', 'dark']) {
        const context = await browser.newContext({ colorScheme, bypassCSP: true, viewport: { width: 360, height: 740 } })
        const page = await context.newPage()
        page.on('request', (request) => requests.push(request.url()))
        for (const path of ['/callback?code=old&state=old', '/nothing', '/done']) {
          const at = new URL(path, redirect).href
          await page.goto(at)
          assert.deepEqual(requests.splice(0), [at], 'a page asks for nothing else')
          assert.deepEqual(await violations(page), [], path)
          assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, path)
        }
        await context.close()
      }
      login.waits()
      assert.deepEqual(await exchanges(base), [])
    } finally {
      await login.kill()
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    }
  })
}
