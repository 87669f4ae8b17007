"""What pkilint and cryptography say about the files of a folder.

The names of files end with their kind: .cer, .crl and .ocsp; issuer.cer has signed the lists and
the OCSP answers. Prints one JSON object.
"""

import contextlib
import io
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from pkilint.bin import lint_crl, lint_ocsp_response, lint_pkix_cert

LINTERS = {
    ".cer": (lint_pkix_cert, []),
    ".crl": (lint_crl, ["-t", "CRL", "-p", "PKIX"]),
    ".ocsp": (lint_ocsp_response, []),
}


def lint(path):
    """Findings of pkilint of at least severity WARNING, as `code`."""
    linter, options = LINTERS[path.suffix]
    arguments = ["lint", *options, "-s", "WARNING", "-f", "JSON", str(path)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        linter.main(arguments)
    results = json.loads(printed.getvalue())["results"]
    return [found["code"] for one in results for found in one["finding_descriptions"]]


def crl_entries(path, issuer):
    """The entries of a list whose signature holds: serial number to reason."""
    crl = x509.load_der_x509_crl(path.read_bytes())
    if not crl.is_signature_valid(issuer.public_key()):
        raise ValueError(f"{path.name}: the signature does not hold")
    found = {}
    for entry in crl:
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            reason = "unspecified"
        found[f"{entry.serial_number:X}"] = reason
    return found


def ocsp_answers(path, issuer):
    """The answers of a response whose signature holds: serial number to status or reason."""
    response = ocsp.load_der_ocsp_response(path.read_bytes())
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        return {"status": response.response_status.name}
    algorithm = ec.ECDSA(response.signature_hash_algorithm)
    issuer.public_key().verify(response.signature, response.tbs_response_bytes, algorithm)
    found = {}
    for one in response.responses:
        status = one.certificate_status.name.lower()
        if status == "revoked" and one.revocation_reason is not None:
            status = one.revocation_reason.value
        found[f"{one.serial_number:X}"] = status
    return found


def main(folder):
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix in LINTERS)
    issuer = x509.load_der_x509_certificate((folder / "issuer.cer").read_bytes())
    for path in files:
        if path.suffix == ".cer" and path.name not in ("root.cer", "issuer.cer"):
            x509.load_der_x509_certificate(path.read_bytes()).verify_directly_issued_by(issuer)
    answer = {
        "findings": {path.name: lint(path) for path in files},
        "crl": {p.name: crl_entries(p, issuer) for p in files if p.suffix == ".crl"},
        "ocsp": {p.name: ocsp_answers(p, issuer) for p in files if p.suffix == ".ocsp"},
    }
    print(json.dumps(answer))


main(pathlib.Path(sys.argv[1]))
