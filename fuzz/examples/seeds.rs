//! Writes the seeds of a target into a folder, each under the hash of its text: `seeds TARGET FOLDER`.

use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(folder)) = (arguments.next(), arguments.next()) else {
        panic!("say a target and a folder");
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    for seed in coze_auth_fuzz::seeds(&target) {
        std::fs::write(folder.join(coze_auth_fuzz::hash(&seed)), seed).expect("a file");
    }
}
