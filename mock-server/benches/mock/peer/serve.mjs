// oauth2-mock-server, as its README starts it.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PEER_MODULES}/`);
const { OAuth2Server } = require('oauth2-mock-server');
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
await server.start(Number(process.argv[2]), '127.0.0.1');
