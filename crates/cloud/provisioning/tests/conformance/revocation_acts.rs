//! Acts on certificates of an issuer and on revocation lists, for the test of the audit.

use pki::RevocationReason;
use provisioning::{Act, Provisioning};
use registry::IfMatch;

use crate::revocations::{Ca, serial};
use crate::{Bench, ca_certificates, issued};

impl Bench {
    /// Whether it is one of them.
    pub(crate) async fn perform_revocation(&self, by: &Provisioning, act: Act) -> bool {
        let any = IfMatch::Any;
        let (ca, serial) = (Ca::named("revoking"), serial(7));
        let (issuer, list) = (issued::issuer("revoking"), ca_certificates::name("list"));
        let hold = RevocationReason::CertificateHold;
        match act {
            Act::RevokeCertificate => {
                self.issue_with("revoking", &ca).await;
                let revoked = by.revoke_certificate(&issuer, serial, hold, self.now());
                revoked.await.unwrap();
            }
            Act::RestoreCertificate => {
                let restored = by.restore_certificate(&issuer, serial, self.now());
                restored.await.unwrap();
            }
            Act::PutRevocationList => {
                let put =
                    by.put_revocation_list(ca.list_draft("list"), &IfMatch::Absent, self.now());
                put.await.unwrap();
            }
            Act::UploadRevocationList => {
                let plain = &self.provisioning;
                let put = plain.put_revocation_list(ca.list_draft("list"), &any, self.now());
                put.await.unwrap();
                let uploaded = by.upload_revocation_list(&list, ca.list(1, &[]), self.now());
                uploaded.await.unwrap();
            }
            Act::DeleteRevocationList => {
                by.delete_revocation_list(&list, &any).await.unwrap();
            }
            _ => return false,
        }
        true
    }
}
