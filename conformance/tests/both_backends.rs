//! A user's graph may hold both backends of `jsonwebtoken`, which makes its own verification panic.
//! Neither our signer nor the mock's verifier may care. (This package's dev-dependencies link both.)

use std::panic::catch_unwind;

use coze_auth_conformance::test_case;
use jsonwebtoken::{DecodingKey, Validation};

#[path = "subjects/raw_socket.rs"]
mod raw_socket;

#[test]
fn jwt_grants_work_where_jsonwebtoken_panics() {
    // The very thing that would go wrong, so that this test cannot pass in a graph with one backend.
    let token = "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo";
    let decode = || {
        jsonwebtoken::decode::<serde_json::Value>(
            token,
            &DecodingKey::from_secret(b"k"),
            &Validation::default(),
        )
    };
    assert!(
        catch_unwind(decode).is_err(),
        "this graph does not link two backends"
    );

    test_case::<raw_socket::RawSocket>("jwt.grant.token");
    test_case::<raw_socket::RawSocket>("jwt.refused.kid");
}
