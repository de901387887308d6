#include "bench/agents/enrolment.hpp"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

namespace fallow::bench {
namespace {

using nlohmann::json;

std::string base64(const unsigned char* bytes, std::size_t size) {
    std::string text(4 * ((size + 2) / 3) + 1, '\0');
    text.resize(static_cast<std::size_t>(
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size))));
    return text;
}

struct BioDeleter {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Memory = std::unique_ptr<BIO, BioDeleter>;

std::string certificate_request(EVP_PKEY* key) {
    X509_REQ* const request = X509_REQ_new();
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("swarm"), -1, -1, 0);
    X509_REQ_set_pubkey(request, key);
    X509_REQ_sign(request, key, EVP_sha256());
    const Memory memory(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509_REQ(memory.get(), request);
    X509_REQ_free(request);
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string sign(EVP_PKEY* key, const std::string& text) {
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    std::array<unsigned char, 64> signature{};
    std::size_t size = signature.size();
    EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key);
    EVP_DigestSign(context, signature.data(), &size, reinterpret_cast<const unsigned char*>(text.data()),
                   text.size());
    EVP_MD_CTX_free(context);
    return base64(signature.data(), size);
}

/// A blocking connection.
class Caller {
  public:
    Caller(const EnrolmentOptions& options, X509* certificate, EVP_PKEY* key)
        : context_(make_client_context(options.ca_file)) {
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options.port);
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("cannot connect");
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_);
        if (certificate != nullptr) {
            SSL_use_certificate(ssl_.get(), certificate);
            SSL_use_PrivateKey(ssl_.get(), key);
        }
        if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("the TLS handshake failed");
    }
    ~Caller() { ::close(socket_); }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

    json call(const std::string& method, const std::string& path, const json& body,
              const std::string& headers) {
        const std::string text = body.dump();
        const std::string request =
            method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers +
            "Content-Type: application/json\r\nContent-Length: " + std::to_string(text.size()) +
            "\r\n\r\n" + text;
        SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
        std::string reply;
        std::array<char, 16384> buffer;
        for (std::size_t size = 0; size == 0 || reply.size() < size; size = reply_size(reply)) {
            const int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
            if (count <= 0) throw std::runtime_error("the connection broke while " + path);
            reply.append(buffer.data(), static_cast<std::size_t>(count));
        }
        if (reply.substr(9, 1) != "2") throw std::runtime_error(method + " " + path + ": " + reply);
        return json::parse(reply.substr(reply.find("\r\n\r\n") + 4));
    }

  private:
    Owned<SSL_CTX> context_;
    Owned<SSL> ssl_;
    int socket_ = -1;
};

class Enroller {
  public:
    Enroller(const EnrolmentOptions& options, EVP_PKEY* key)
        : options_(options), key_(key), signing_key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {
        std::array<unsigned char, 32> raw{};
        std::size_t size = raw.size();
        EVP_PKEY_get_raw_public_key(signing_key_.get(), raw.data(), &size);
        public_key_ = base64(raw.data(), size);
        request_ = certificate_request(key);
    }

    EnrolledHost host(Caller& caller, std::size_t number) {
        const std::string seller = "Authorization: Bearer " + options_.seller_key +
                                   "\r\nIdempotency-Key: swarm-" + std::to_string(number) + "\r\n";
        const std::string token =
            caller.call("POST", "/v1/enrollment-tokens",
                        {{"name", "swarm-" + std::to_string(number)}, {"country", "DE"}}, seller)["token"];
        const json enrolled =
            caller.call("POST", "/v1/agent/enroll",
                        {{"token", token},
                         {"csr", request_},
                         {"signing_key", public_key_},
                         {"proof", sign(signing_key_.get(), "fallow-enroll-v1\n" + token)},
                         {"agent_version", "swarm"},
                         {"runtime", "runc"},
                         {"engine", "none"},
                         {"cpu_cores", 2},
                         {"memory_bytes", 1 << 30}},
                        "");
        const std::string pem = enrolled["certificate"];
        const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
        EnrolledHost made{enrolled["host_id"],
                          Owned<X509>(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr))};
        if (number < options_.listed) list(caller, made, number);
        return made;
    }

  private:
    void list(Caller& caller, const EnrolledHost& host, std::size_t number) {
        Caller own(options_, host.certificate.get(), key_);
        own.call("POST", "/v1/agent/heartbeat",
                 {{"boot_id", "swarm"}, {"sequence", 1}, {"leases", json::array()}}, "");
        const json card = {{"index", 0},
                           {"uuid", "GPU-swarm-" + std::to_string(number)},
                           {"pci_address", nullptr},
                           {"product", "swarm"},
                           {"vendor", "Simulated"},
                           {"device_class", "gpu"},
                           {"backend", "opencl"},
                           {"driver_version", "1"},
                           {"capacity",
                            {{"vram_bytes", 85899345920},
                             {"memory_bandwidth_bytes_per_s", 1000000000000},
                             {"fp32_flops", 10000000000000},
                             {"measured_at", "2026-01-01T00:00:00.000Z"}}}};
        const json inventory = own.call("PUT", "/v1/agent/inventory",
                                        {{"boot_id", "swarm"},
                                         {"agent_version", "swarm"},
                                         {"runtime", "runc"},
                                         {"engine", "none"},
                                         {"cpu_cores", 2},
                                         {"memory_bytes", 1 << 30},
                                         {"cards", {card}}},
                                        "");
        caller.call("POST", "/v1/listings",
                    {{"host_id", host.id},
                     {"card_ids", {inventory["cards"][0]["id"]}},
                     {"ask_micros_per_hour", 1000000}},
                    "Authorization: Bearer " + options_.seller_key + "\r\nIdempotency-Key: listing-" +
                        std::to_string(number) + "\r\n");
    }

    const EnrolmentOptions& options_;
    EVP_PKEY* key_;
    Owned<EVP_PKEY> signing_key_;
    std::string public_key_;
    std::string request_;
};

}  // namespace

Owned<EVP_PKEY> make_tls_key() {
    return Owned<EVP_PKEY>(EVP_EC_gen("P-256"));
}

std::vector<EnrolledHost> enrol(const EnrolmentOptions& options, EVP_PKEY* key) {
    std::vector<EnrolledHost> hosts(options.hosts);
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    Enroller enroller(options, key);
    const auto work = [&] {
        try {
            Caller caller(options, nullptr, nullptr);
            for (std::size_t i = next++; i < hosts.size(); i = next++)
                hosts[i] = enroller.host(caller, i);
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
            next = hosts.size();
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.threads; ++i)
        threads.emplace_back(work);
    threads.clear();
    if (failure) std::rethrow_exception(failure);
    return hosts;
}

}  // namespace fallow::bench
