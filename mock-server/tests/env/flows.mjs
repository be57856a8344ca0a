// Flows of @coze/api over a coze_oauth_config.json each, read as the quickstarts read it: `flows.mjs KIND FILE …`. See run.py.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { sdk } from '../../../conformance/released-sdks/coze_api_sdk.mjs'

const redirectUrl = 'http://127.0.0.1:8080/callback'
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async (what, value) => {
  console.log(`${what} ${value}`)
  return (await answers.next()).value
}
// What loadConfig of each quickstart requires.
const REQUIRED = {
  web: ['client_type', 'client_id', 'client_secret', 'coze_www_base', 'coze_api_base'],
  pkce: ['client_type', 'client_id', 'coze_www_base', 'coze_api_base'],
  device: ['client_type', 'client_id', 'coze_www_base', 'coze_api_base'],
  jwt: ['client_type', 'client_id', 'public_key_id', 'private_key', 'coze_www_base', 'coze_api_base'],
}

const args = process.argv.slice(2)
while (args.length) {
  const [kind, path] = args.splice(0, 2)
  const config = JSON.parse(readFileSync(path, 'utf8'))
  for (const name of REQUIRED[kind]) {
    if (!config[name]?.trim()) throw new Error(`Configuration file missing required field: ${name}`)
  }
  const app = { baseURL: config.coze_api_base, clientId: config.client_id, clientSecret: config.client_secret ?? '', redirectUrl }
  const renewed = (token) => sdk.refreshOAuthToken({ ...app, refreshToken: token.refresh_token })
  const flows = {
    web: async () => {
      const url = sdk.getWebAuthenticationUrl({ ...app, state: 's' })
      return renewed(await sdk.getWebOAuthToken({ ...app, code: await ask('OPEN', url) }))
    },
    pkce: async () => {
      const { url, codeVerifier } = await sdk.getPKCEAuthenticationUrl({ ...app, state: 's' })
      return renewed(await sdk.getPKCEOAuthToken({ ...app, code: await ask('OPEN', url), codeVerifier }))
    },
    device: async () => {
      const device = await sdk.getDeviceCode(app)
      await ask('DEVICE', device.user_code)
      return renewed(await sdk.getDeviceToken({ ...app, deviceCode: device.device_code, poll: true }))
    },
    jwt: () =>
      sdk.getJWTToken({
        baseURL: app.baseURL,
        appId: config.client_id,
        aud: new URL(config.coze_api_base).host,
        keyid: config.public_key_id,
        privateKey: config.private_key,
      }),
  }
  const { access_token: token } = await flows[kind]()
  const user = await new sdk.CozeAPI({ token, baseURL: app.baseURL }).users.me()
  console.log(`DONE ${kind} ${user.user_name}`)
}
process.exit()
