// A mock on a free port, a browser, and an app's side of the flows.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const packages = createRequire(join(process.env.PACKAGES, 'package.json'))
const { chromium } = packages('playwright-core')
const axe = readFileSync(packages.resolve('axe-core/axe.min.js'), 'utf8')

export const WEB = '11111111111111111111111111111111.app.coze'
export const PKCE = '22222222222222222222222222222222.app.coze'
export const DEVICE = '33333333333333333333333333333333.app.coze'

/** The app's side of a redirect. */
export const app = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end('<!doctype html><title>app</title>back'))
await new Promise((good) => app.listen(0, '127.0.0.1', good))
app.unref()
export const CALLBACK = `http://127.0.0.1:${app.address().port}/callback`

export const TWO_USERS = `
[[user]]
name = "alice"
[[user]]
name = "bob"
`

export async function startMock(config, ...options) {
  const args = ['--print', 'json', '--log', 'json', ...options]
  if (!options.includes('--listen')) args.push('--listen', '127.0.0.1:0')
  if (config) {
    const file = join(mkdtempSync(join(tmpdir(), 'mock-')), 'mock.toml')
    writeFileSync(file, config)
    args.push('-c', file)
  }
  const child = spawn(process.env.MOCK, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = createInterface({ input: child.stdout })
  /** Why the guard has refused, in the words of the log. */
  const refused = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    const reason = line.startsWith('{') && JSON.parse(line).refused
    if (reason) refused.push(reason)
  })
  const base = await new Promise((good, bad) => {
    lines.once('line', (line) => good(JSON.parse(line).base_url))
    child.once('exit', () => bad(new Error('the mock did not start')))
  })
  return { base, refused, stop: () => child.kill() }
}

/** A shadow before a mock. It tells its address in the second line. */
export async function startShadow(upstream, ...options) {
  const child = spawn(process.env.MOCK, ['shadow', '--upstream', upstream, '--listen', '127.0.0.1:0', ...options], { stdio: ['ignore', 'pipe', 'ignore'] })
  const base = await new Promise((good, bad) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /Report +(.*?)\/_mock\//.exec(line)
      if (found) good(found[1])
    })
    child.once('exit', () => bad(new Error('the shadow did not start')))
  })
  return { base, stop: () => child.kill() }
}

const LAUNCH = {
  executablePath: process.env.CHROMIUM,
  chromiumSandbox: false,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
}

export const startBrowser = (...more) => chromium.launch({ ...LAUNCH, args: [...LAUNCH.args, ...more] })

/** A browser with a folder for what it remembers, so that a restart can restore its tabs. */
export async function startProfile(folder, ...more) {
  const context = await chromium.launchPersistentContext(folder, { ...LAUNCH, args: [...LAUNCH.args, ...more] })
  context.setDefaultTimeout(5000)
  return context
}

export async function open(browser, options = {}) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(5000)
  return { page: await context.newPage(), context }
}

export const id = (page, name) => page.locator(`[data-testid="${name}"]`)

export async function post(base, path, body, bearer) {
  const headers = { 'content-type': 'application/json' }
  if (bearer) headers.authorization = `Bearer ${bearer}`
  const reply = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: reply.status, json: await reply.json() }
}

export const me = async (base, token) => {
  const reply = await fetch(`${base}/v1/users/me`, { headers: { authorization: `Bearer ${token}` } })
  return { status: reply.status, json: await reply.json() }
}

export const s256 = (verifier) => createHash('sha256').update(verifier).digest('base64url')

export function authorizeUrl(base, client, more = {}) {
  const url = new URL(`${base}/api/permission/oauth2/authorize`)
  const all = { response_type: 'code', client_id: client, redirect_uri: CALLBACK, state: 'state-1', ...more }
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value)
  return url.href
}

export const exchange = (base, client, code, more, bearer) =>
  post(base, '/api/permission/oauth2/token', { grant_type: 'authorization_code', client_id: client, redirect_uri: CALLBACK, code, ...more }, bearer)

export const startDevice = async (base) => (await post(base, '/api/permission/oauth2/device/code', { client_id: DEVICE })).json

export const poll = (base, device_code) =>
  post(base, '/api/permission/oauth2/token', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: DEVICE, device_code })

/** Tokens of the web app, without a browser. */
export async function login(base) {
  const { json } = await post(base, '/_mock/v1/authorize', { url: authorizeUrl(base, WEB), action: 'approve' })
  const code = new URL(json.redirect).searchParams.get('code')
  return (await exchange(base, WEB, code, {}, 'mock-web-secret')).json
}

/** What axe-core finds wrong, as text. */
export async function violations(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(() => window.axe.run(document, { iframes: false }))
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.html} ${node.failureSummary}`).join('; ')}`)
}
