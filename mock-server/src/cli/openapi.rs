//! `openapi`: the OpenAPI document.

use coze_auth_mock::CozeAuthMock;

use super::{Failure, print};

pub(crate) fn openapi() -> Result<(), Failure> {
    let mock = CozeAuthMock::builder().public_url("http://127.0.0.1:9777");
    print(&format!("{:#}", mock.build()?.openapi()));
    Ok(())
}
