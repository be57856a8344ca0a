//! Every case over every transport.

#[path = "subjects/clocks.rs"]
mod clocks;
mod subjects;

mod reqwest {
    use crate::subjects::Reqwest;
    coze_auth_conformance::conformance_tests!(Reqwest);
}

mod ureq {
    use crate::subjects::Ureq;
    coze_auth_conformance::conformance_tests!(Ureq);
}

mod raw_socket {
    use crate::subjects::RawSocket;
    coze_auth_conformance::conformance_tests!(RawSocket);
}

mod in_memory {
    use crate::subjects::InMemory;
    coze_auth_conformance::conformance_tests!(InMemory);
}
