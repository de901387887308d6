// Certificates are judged by OpenSSL's own path validation, as a TLS peer would.
#include "auth/authority.hpp"

#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "auth/certificates.hpp"
#include "auth/files.hpp"
#include "auth/openssl.hpp"
#include "auth/random.hpp"
#include "unit/auth/temporary_folder.hpp"

using namespace fallow;
using namespace fallow::auth;

namespace {

using StorePtr = std::unique_ptr<X509_STORE, Release<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Release<X509_STORE_CTX_free>>;

const Time now(1'767'323'045'000);  // 2026-01-02T03:04:05Z
const HostId host(RawId{1, 2});

/// X509_V_OK, or why the certificate does not verify for the purpose at the moment.
int verdict(const std::string& trusted_pem, const std::string& chain_pem, int purpose, Time at,
            const std::string& host_name = {}) {
    const CertificatePtr root = parse_certificate(trusted_pem);
    const CertificatePtr leaf = parse_certificate(chain_pem);
    const StorePtr store(X509_STORE_new());
    REQUIRE(X509_STORE_add_cert(store.get(), root.get()) == 1);
    const StoreContextPtr context(X509_STORE_CTX_new());
    REQUIRE(X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) == 1);
    X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
    REQUIRE(X509_VERIFY_PARAM_set_purpose(parameters, purpose) == 1);
    X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(at.ms / 1000));
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    if (!host_name.empty())
        REQUIRE((X509_VERIFY_PARAM_set1_ip_asc(parameters, host_name.c_str()) == 1 ||
                 X509_VERIFY_PARAM_set1_host(parameters, host_name.c_str(), host_name.size()) == 1));
    const int result =
        X509_verify_cert(context.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
    ERR_clear_error();
    return result;
}

std::string request_pem(EVP_PKEY* key, const std::string& common_name, EVP_PKEY* signer = nullptr) {
    const RequestPtr request(X509_REQ_new());
    REQUIRE(X509_REQ_set_version(request.get(), 0) == 1);
    REQUIRE(X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request.get()), NID_commonName,
                                       MBSTRING_UTF8, as_bytes(common_name), -1, -1, 0) == 1);
    REQUIRE(X509_REQ_set_pubkey(request.get(), key) == 1);
    EVP_PKEY* used = signer != nullptr ? signer : key;
    const EVP_MD* digest = EVP_PKEY_get_id(used) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    REQUIRE(X509_REQ_sign(request.get(), used, digest) > 0);
    const BioPtr bio(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1);
    return bytes_of(bio.get());
}

std::string common_name(const std::string& pem) {
    const CertificatePtr certificate = parse_certificate(pem);
    char name[128] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    return name;
}

mode_t mode_of(const std::filesystem::path& path) {
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    return facts.st_mode & 07777;
}

}  // namespace

TEST_CASE("an agent's certificate verifies as a client of this authority and as nothing else",
          "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path() / "tls", now);
    const KeyPtr key = generate_p256_key();
    const auto issued = authority.issue_agent(request_pem(key.get(), "host_of_someone_else"), host, now);
    REQUIRE(issued.ok());
    const std::string& pinned = authority.certificate_pem();
    CHECK(verdict(pinned, issued->chain_pem, X509_PURPOSE_SSL_CLIENT, now) == X509_V_OK);
    CHECK(verdict(pinned, issued->chain_pem, X509_PURPOSE_SSL_SERVER, now) == X509_V_ERR_INVALID_PURPOSE);
    CHECK(verdict(pinned, issued->chain_pem, X509_PURPOSE_SSL_CLIENT, now + hours(23)) == X509_V_OK);
    CHECK(verdict(pinned, issued->chain_pem, X509_PURPOSE_SSL_CLIENT, now + hours(25)) ==
          X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(issued->not_after == now + hours(24));
    CHECK(common_name(issued->chain_pem) == host.text());
    CHECK(X509_check_private_key(parse_certificate(issued->chain_pem).get(), key.get()) == 1);

    const TemporaryFolder elsewhere;
    const auto stranger = CertificateAuthority::open(elsewhere.path(), now);
    CHECK(verdict(stranger.certificate_pem(), issued->chain_pem, X509_PURPOSE_SSL_CLIENT, now) !=
          X509_V_OK);
}

TEST_CASE("serial numbers are random", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    const KeyPtr key = generate_p256_key();
    const std::string request = request_pem(key.get(), "x");
    const auto first = authority.issue_agent(request, host, now);
    const auto second = authority.issue_agent(request, host, now);
    REQUIRE((first.ok() && second.ok()));
    CHECK(first->serial_hex != second->serial_hex);
    CHECK(first->serial_hex == serial_hex(parse_certificate(first->chain_pem).get()));
}

TEST_CASE("keys that agents may use", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    const KeyPtr p384(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"));
    const KeyPtr ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const KeyPtr rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
    const KeyPtr secp256k1(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "secp256k1"));
    CHECK(authority.issue_agent(request_pem(p384.get(), "x"), host, now).ok());
    CHECK(authority.issue_agent(request_pem(ed25519.get(), "x"), host, now).ok());
    CHECK_FALSE(authority.issue_agent(request_pem(rsa.get(), "x"), host, now).ok());
    CHECK_FALSE(authority.issue_agent(request_pem(secp256k1.get(), "x"), host, now).ok());
}

TEST_CASE("a bad certificate request is refused at its field", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    const KeyPtr key = generate_p256_key();
    const KeyPtr other = generate_p256_key();
    const std::string good = request_pem(key.get(), "x");
    std::string damaged = good;
    damaged[good.size() / 2] = damaged[good.size() / 2] == 'A' ? 'B' : 'A';
    const std::string bad[] = {
        "",
        "hello",
        good.substr(0, good.size() / 2),
        damaged,
        request_pem(key.get(), "x", other.get()),
        authority.certificate_pem(),
        std::string(100'000, 'A'),
    };
    for (const std::string& request : bad) {
        INFO(request.substr(0, 200));
        const auto issued = authority.issue_agent(request, host, now);
        REQUIRE_FALSE(issued.ok());
        CHECK(issued.error().code == ErrorCode::invalid_field);
        CHECK(issued.error().pointer == "/csr");
    }
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("the server's certificate covers localhost and the configured names", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    const auto server = authority.server_certificate({"gpu.example.org", "10.1.2.3", "localhost"}, now);
    const std::string& pinned = authority.certificate_pem();
    for (const std::string name : {"localhost", "127.0.0.1", "::1", "gpu.example.org", "10.1.2.3"}) {
        INFO(name);
        CHECK(verdict(pinned, server.chain_pem, X509_PURPOSE_SSL_SERVER, now, name) == X509_V_OK);
    }
    CHECK(verdict(pinned, server.chain_pem, X509_PURPOSE_SSL_SERVER, now, "other.example.org") ==
          X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK(verdict(pinned, server.chain_pem, X509_PURPOSE_SSL_CLIENT, now) == X509_V_ERR_INVALID_PURPOSE);
    CHECK(X509_check_private_key(parse_certificate(server.chain_pem).get(),
                                 parse_private_key(server.private_key_pem).get()) == 1);
    CHECK(mode_of(folder.path() / "ca.key") == 0600);
    CHECK(mode_of(folder.path() / "server.key") == 0600);
    CHECK(mode_of(folder.path() / "ca.pem") == 0644);
    CHECK(mode_of(folder.path() / "server.pem") == 0644);
    CHECK(server.chain_pem.ends_with(pinned));
}

TEST_CASE("replicas share an authority, know each other, and keep certificates of their own",
          "[authority]") {
    const TemporaryFolder shared;
    const TemporaryFolder first_own;
    const TemporaryFolder second_own;
    const auto first = CertificateAuthority::open(shared.path(), now);
    const auto second = CertificateAuthority::open(shared.path(), now);
    CHECK(first.key_sha256() == second.key_sha256());
    const TemporaryFolder elsewhere;
    CHECK(first.key_sha256() != CertificateAuthority::open(elsewhere.path(), now).key_sha256());

    const auto replica = first.replica_certificate(now);
    const std::string& pinned = second.certificate_pem();
    CHECK(verdict(pinned, replica.chain_pem, X509_PURPOSE_SSL_CLIENT, now) == X509_V_OK);
    CHECK(verdict(pinned, replica.chain_pem, X509_PURPOSE_SSL_SERVER, now) == X509_V_ERR_INVALID_PURPOSE);
    CHECK(common_name(replica.chain_pem) == replica_common_name);
    CHECK(replica.not_after == now + days(1));
    CHECK(first.replica_certificate(now).private_key_pem != replica.private_key_pem);
    // However a host asks, its certificate has its own name.
    const KeyPtr key = generate_p256_key();
    const auto host_certificate =
        first.issue_agent(request_pem(key.get(), std::string(replica_common_name)), host, now);
    REQUIRE(host_certificate.ok());
    CHECK(common_name(host_certificate->chain_pem) == host.text());

    const auto a = first.server_certificate({"a.example"}, now, first_own.path());
    static_cast<void>(second.server_certificate({"b.example"}, now, second_own.path()));
    CHECK(first.server_certificate({"a.example"}, now, first_own.path()).chain_pem == a.chain_pem);
    CHECK_FALSE(std::filesystem::exists(shared.path() / "server.key"));
}

TEST_CASE("a name that is no name cannot reach the certificate", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    for (const std::string name :
         {"", "a,DNS:evil.example", "a b", "a..b", ".a", "email:x", "a\n", "*", "/etc/passwd"}) {
        INFO(name);
        CHECK_THROWS_WITH(authority.server_certificate({name}, now), Catch::Contains("correct tls_names"));
    }
    CHECK_NOTHROW(authority.server_certificate({"*.example.org"}, now));
}

TEST_CASE("the server's certificate is kept until a third of its life is left", "[authority]") {
    const TemporaryFolder folder;
    const auto authority = CertificateAuthority::open(folder.path(), now);
    const auto first = authority.server_certificate({"a.example"}, now);
    CHECK(authority.server_certificate({"a.example"}, now + days(240)).chain_pem == first.chain_pem);
    SECTION("late in its life it is renewed") {
        const auto renewed = authority.server_certificate({"a.example"}, now + days(250));
        CHECK(renewed.chain_pem != first.chain_pem);
        CHECK(renewed.not_after == now + days(250 + 365));
        CHECK(authority.server_certificate({"a.example"}, now + days(251)).chain_pem == renewed.chain_pem);
    }
    SECTION("other names need another certificate") {
        CHECK(authority.server_certificate({"b.example"}, now).chain_pem != first.chain_pem);
    }
    SECTION("a pair that does not match is replaced") {
        write_file(folder.path() / "server.key", private_key_pem(generate_p256_key().get()), private_mode);
        const auto made = authority.server_certificate({"a.example"}, now);
        CHECK(made.chain_pem != first.chain_pem);
        CHECK(verdict(authority.certificate_pem(), made.chain_pem, X509_PURPOSE_SSL_SERVER, now) ==
              X509_V_OK);
    }
}

TEST_CASE("the authority stays the same over restarts", "[authority]") {
    const TemporaryFolder folder;
    const std::string pinned = CertificateAuthority::open(folder.path(), now).certificate_pem();
    const auto again = CertificateAuthority::open(folder.path(), now + days(1));
    CHECK(again.certificate_pem() == pinned);
    const KeyPtr key = generate_p256_key();
    const auto issued = again.issue_agent(request_pem(key.get(), "x"), host, now + days(1));
    REQUIRE(issued.ok());
    CHECK(verdict(pinned, issued->chain_pem, X509_PURPOSE_SSL_CLIENT, now + days(1)) == X509_V_OK);
}

TEST_CASE("an authority whose files are incomplete or wrong", "[authority]") {
    const TemporaryFolder folder;
    const std::string pinned = CertificateAuthority::open(folder.path(), now).certificate_pem();
    const auto key_path = folder.path() / "ca.key";
    SECTION("without its certificate it gets a new one under which old pins still verify") {
        std::filesystem::remove(folder.path() / "ca.pem");
        const auto renewed = CertificateAuthority::open(folder.path(), now);
        CHECK(renewed.certificate_pem() != pinned);
        const auto server = renewed.server_certificate({}, now);
        CHECK(verdict(pinned, server.chain_pem, X509_PURPOSE_SSL_SERVER, now) == X509_V_OK);
    }
    SECTION("without its key it is refused") {
        std::filesystem::remove(key_path);
        CHECK_THROWS_WITH(CertificateAuthority::open(folder.path(), now), Catch::Contains("is missing"));
        CHECK_FALSE(std::filesystem::exists(key_path));
    }
    SECTION("with another's key it is refused") {
        write_file(key_path, private_key_pem(generate_p256_key().get()), private_mode);
        CHECK_THROWS_WITH(CertificateAuthority::open(folder.path(), now),
                          Catch::Contains("does not belong"));
    }
    SECTION("with a key that others can read it is refused") {
        REQUIRE(::chmod(key_path.c_str(), 0644) == 0);
        CHECK_THROWS_WITH(CertificateAuthority::open(folder.path(), now), Catch::Contains("chmod 600"));
    }
    SECTION("after ten years it is refused, and what it issues ends with it") {
        CHECK_THROWS_WITH(CertificateAuthority::open(folder.path(), now + days(3653)),
                          Catch::Contains("expired"));
        const auto old = CertificateAuthority::open(folder.path(), now + days(3651));
        const KeyPtr key = generate_p256_key();
        const auto issued =
            old.issue_agent(request_pem(key.get(), "x"), host, now + days(3651) + hours(12));
        REQUIRE(issued.ok());
        CHECK(issued->not_after == now + days(3652));
    }
}
