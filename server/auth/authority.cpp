#include "auth/authority.hpp"

#include <algorithm>

#include "auth/certificates.hpp"
#include "auth/files.hpp"
#include "auth/sha256.hpp"

namespace fallow::auth {
namespace {

constexpr Millis authority_life = days(3652);
constexpr Millis server_certificate_life = days(365);
constexpr Millis replica_certificate_life = days(1);
/// A peer's clock may be this far behind ours.
constexpr Millis clock_tolerance = minutes(5);
constexpr std::size_t request_bytes_max = 16 * 1024;

CertificatePtr make_authority_certificate(EVP_PKEY* key, Time now) {
    return sign_certificate(
        {
            .common_name = "Fallow certificate authority",
            .public_key = key,
            .not_before = now - clock_tolerance,
            .not_after = now + authority_life,
            .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                           {NID_key_usage, "critical,keyCertSign,cRLSign"},
                           {NID_subject_key_identifier, "hash"}},
        },
        nullptr, key);
}

std::string joined_names(const std::vector<std::string>& names) {
    std::string joined;
    for (const std::string& name : names) {
        if (!joined.empty()) joined += ',';
        joined += name;
    }
    return joined;
}

/// The names every server answers to, then the configured ones, each once.
std::vector<std::string> server_names(const std::vector<std::string>& configured) {
    std::vector<std::string> names = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
    for (const std::string& name : configured) {
        std::string entry = alternative_name(name);
        if (std::find(names.begin(), names.end(), entry) == names.end()) names.push_back(std::move(entry));
    }
    return names;
}

RequestPtr parse_request(std::string_view pem) {
    const BioPtr bio = bio_over(pem);
    return RequestPtr(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
}

bool is_accepted_key(EVP_PKEY* key) {
    if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) return true;
    char group[32] = {};
    if (EVP_PKEY_get_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1)
        return false;
    return std::string_view(group) == "prime256v1" || std::string_view(group) == "secp384r1";
}

Error refuse_request(std::string detail) {
    ERR_clear_error();
    return refuse(ErrorCode::invalid_field, std::move(detail), "/csr");
}

}  // namespace

struct CertificateAuthority::Impl {
    std::filesystem::path folder;
    KeyPtr key;
    CertificatePtr certificate;
    std::string pem;

    /// No certificate outlives the authority that signed it.
    [[nodiscard]] Time end_of(Time now, Millis life) const {
        return std::min(now + life, not_after(certificate.get()));
    }
    /// A certificate to present to a server, and for nothing else.
    [[nodiscard]] CertificatePtr sign_client(const std::string& common_name, EVP_PKEY* public_key, Time now,
                                             Millis life) const;
    [[nodiscard]] bool is_usable(X509* server, EVP_PKEY* server_key, const std::vector<std::string>& names,
                                 Time now) const;
};

bool CertificateAuthority::Impl::is_usable(X509* server, EVP_PKEY* server_key,
                                           const std::vector<std::string>& names, Time now) const {
    const Millis life = not_after(server) - not_before(server);
    const Millis left = not_after(server) - now;
    const bool good = X509_check_private_key(server, server_key) == 1 &&
                      X509_verify(server, key.get()) == 1 && alternative_names(server) == names &&
                      left.count * 3 >= life.count && not_before(server) <= now;
    ERR_clear_error();
    return good;
}

CertificatePtr CertificateAuthority::Impl::sign_client(const std::string& common_name, EVP_PKEY* public_key,
                                                       Time now, Millis life) const {
    return sign_certificate(
        {
            .common_name = common_name,
            .public_key = public_key,
            // Little of a short life: an agent renews when two thirds of what the certificate states are
            // over.
            .not_before = now - std::min(clock_tolerance, Millis(life.count / 10)),
            .not_after = end_of(now, life),
            .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                           {NID_key_usage, "critical,digitalSignature"},
                           {NID_ext_key_usage, "clientAuth"},
                           {NID_subject_key_identifier, "hash"},
                           {NID_authority_key_identifier, "keyid:always"}},
        },
        certificate.get(), key.get());
}

CertificateAuthority::CertificateAuthority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CertificateAuthority::~CertificateAuthority() = default;
CertificateAuthority::CertificateAuthority(CertificateAuthority&&) noexcept = default;
CertificateAuthority& CertificateAuthority::operator=(CertificateAuthority&&) noexcept = default;

CertificateAuthority CertificateAuthority::open(const std::filesystem::path& folder, Time now) {
    if (std::filesystem::create_directories(folder))
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    auto impl = std::make_unique<Impl>();
    impl->folder = folder;
    const auto key_text = read_private_file(folder / "ca.key");
    const auto certificate_text = read_file(folder / "ca.pem");
    if (!key_text && certificate_text)
        throw std::runtime_error((folder / "ca.key").string() +
                                 " is missing; restore it, or remove ca.pem to begin with a new authority");
    impl->key = key_text ? parse_private_key(*key_text) : generate_p256_key();
    if (!key_text) write_file(folder / "ca.key", private_key_pem(impl->key.get()), private_mode);
    impl->certificate = certificate_text ? parse_certificate(*certificate_text)
                                         : make_authority_certificate(impl->key.get(), now);
    impl->pem = auth::certificate_pem(impl->certificate.get());
    if (!certificate_text) write_file(folder / "ca.pem", impl->pem, public_mode);
    if (X509_check_private_key(impl->certificate.get(), impl->key.get()) != 1)
        throw_openssl((folder / "ca.pem").string() + " does not belong to ca.key");
    if (not_after(impl->certificate.get()) <= now)
        throw std::runtime_error((folder / "ca.pem").string() +
                                 " has expired; remove it to renew the authority under the same key");
    return CertificateAuthority(std::move(impl));
}

const std::string& CertificateAuthority::certificate_pem() const {
    return impl_->pem;
}

ServerCertificate CertificateAuthority::server_certificate(const std::vector<std::string>& names, Time now,
                                                           const std::filesystem::path& folder) const {
    const std::filesystem::path key_path = (folder.empty() ? impl_->folder : folder) / "server.key";
    const std::filesystem::path chain_path = (folder.empty() ? impl_->folder : folder) / "server.pem";
    const std::vector<std::string> wanted = server_names(names);
    const auto key_text = read_private_file(key_path);
    const auto chain_text = read_file(chain_path);
    if (key_text && chain_text) {
        const CertificatePtr found = parse_certificate(*chain_text);
        const KeyPtr found_key = parse_private_key(*key_text);
        if (impl_->is_usable(found.get(), found_key.get(), wanted, now))
            return {auth::certificate_pem(found.get()) + impl_->pem, *key_text, not_after(found.get())};
    }
    const KeyPtr key = generate_p256_key();
    const CertificatePtr made = sign_certificate(
        {
            .common_name = "fallowd",
            .public_key = key.get(),
            .not_before = now - clock_tolerance,
            .not_after = impl_->end_of(now, server_certificate_life),
            .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                           {NID_key_usage, "critical,digitalSignature"},
                           {NID_ext_key_usage, "serverAuth"},
                           {NID_subject_key_identifier, "hash"},
                           {NID_authority_key_identifier, "keyid:always"},
                           {NID_subject_alt_name, joined_names(wanted)}},
        },
        impl_->certificate.get(), impl_->key.get());
    // A crash between the two files leaves a pair that does not match; the next start makes a new one.
    ServerCertificate result{auth::certificate_pem(made.get()) + impl_->pem, private_key_pem(key.get()),
                             not_after(made.get())};
    write_file(key_path, result.private_key_pem, private_mode);
    write_file(chain_path, result.chain_pem, public_mode);
    return result;
}

ServerCertificate CertificateAuthority::replica_certificate(Time now) const {
    const KeyPtr key = generate_p256_key();
    const CertificatePtr made =
        impl_->sign_client(std::string(replica_common_name), key.get(), now, replica_certificate_life);
    return {auth::certificate_pem(made.get()) + impl_->pem, private_key_pem(key.get()),
            not_after(made.get())};
}

std::string CertificateAuthority::key_sha256() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(impl_->key.get(), &der);
    check_openssl(size > 0, "writing the authority's public key");
    std::string digest = sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    return digest;
}

Result<AgentCertificate> CertificateAuthority::issue_agent(std::string_view request_pem, HostId host,
                                                           Time now, Millis life) const {
    if (request_pem.size() > request_bytes_max)
        return refuse_request("The certificate request is larger than 16 KiB.");
    const RequestPtr request = parse_request(request_pem);
    if (request == nullptr)
        return refuse_request("This is not a PEM certificate request (BEGIN CERTIFICATE REQUEST).");
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    if (key == nullptr || !is_accepted_key(key))
        return refuse_request("The request's key must be EC P-256, EC P-384 or Ed25519.");
    if (X509_REQ_verify(request.get(), key) != 1)
        return refuse_request("The request is not signed by its own key.");
    const CertificatePtr made = impl_->sign_client(host.text(), key, now, life);
    return AgentCertificate{auth::certificate_pem(made.get()) + impl_->pem, serial_hex(made.get()),
                            not_after(made.get())};
}

}  // namespace fallow::auth
