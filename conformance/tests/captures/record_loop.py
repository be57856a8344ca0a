"""The JWT grant of cozeloop (PyPI), for record.py: the environment has BASE and KEY."""

import os

import cozeloop

client = cozeloop.new_client(
    workspace_id="ws1",
    api_base_url=os.environ["BASE"],
    jwt_oauth_client_id="cidj",
    jwt_oauth_public_key_id="kid1",
    jwt_oauth_private_key=os.environ["KEY"],
)
with client.start_span("record", "custom"):
    pass
client.close()  # sends the span
