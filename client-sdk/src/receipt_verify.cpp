#include "fallow/receipt_verify.hpp"

#include <algorithm>
#include <limits>

#include "fallow/digest.hpp"
#include "fallow/errors.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "signed_text.hpp"

namespace fallow::sdk {
namespace {

__extension__ typedef __int128 Int128;

struct Verdict {
    bool passed;
    std::string detail;
};

Verdict pass(std::string detail) {
    return {true, std::move(detail)};
}
Verdict refuse(std::string detail) {
    return {false, std::move(detail)};
}

/// A base64 signature by a raw key over the text. Anything malformed does not verify.
bool verifies(const std::optional<std::string>& key, std::string_view text,
              std::string_view signature_base64) {
    const auto signature = base64_decode(signature_base64);
    return key && signature && ed25519_verify(*key, text, *signature);
}

/// The document with everything that its own text makes of it.
struct Evidence {
    Receipt receipt;
    ReceiptFacts facts;
    std::optional<std::string> pinned_key;  ///< raw
    std::optional<std::string>
        certified_key;                    ///< raw; there only once the host key's certificate was verified
    std::optional<UsageStatement> usage;  ///< what the statement says; its signature is a check of its own
};

Verdict check_server_key(const Evidence& evidence) {
    if (!evidence.pinned_key) return refuse("the pinned key is not a base64 Ed25519 public key");
    if (base64_decode(evidence.facts.server_key) != evidence.pinned_key)
        return refuse("the receipt names another server key than the pinned one");
    return pass("the receipt names the pinned server key");
}

Verdict check_server_signature(const Evidence& evidence) {
    if (!verifies(evidence.pinned_key, evidence.receipt.receipt, evidence.receipt.server_signature))
        return refuse("the pinned server key has not signed this text");
    return pass("the pinned server key signed the receipt");
}

Verdict check_signers(const Evidence& evidence) {
    const Receipt& receipt = evidence.receipt;
    const bool any_usage =
        receipt.usage_statement || receipt.usage_signature || evidence.facts.usage_sha256;
    const bool all_usage =
        receipt.usage_statement && receipt.usage_signature && evidence.facts.usage_sha256;
    if (!evidence.facts.host_signed) {
        if (any_usage) return refuse("the receipt names the server alone, but carries a usage statement");
        return pass("the server alone vouches for the usage: the host was lost, or nothing ran");
    }
    if (!all_usage || !receipt.host_key || !receipt.host_key_certificate)
        return refuse("the receipt names the host as a signer, but lacks its statement, signature or key");
    return pass("server and host signed");
}

Verdict check_host_key(Evidence& evidence) {
    const Receipt& receipt = evidence.receipt;
    if (!receipt.host_key && !receipt.host_key_certificate && !evidence.facts.host_signed)
        return pass("no host key is needed");
    if (!receipt.host_key || !receipt.host_key_certificate)
        return refuse("the host key lacks its certificate");
    const HostKeyCertificate& certificate = *receipt.host_key_certificate;
    if (!verifies(evidence.pinned_key, certificate.statement, certificate.signature))
        return refuse("the pinned server key has not certified the host key");
    const auto statement = parse_host_key_statement(certificate.statement);
    if (!statement) return refuse("the host key's certificate is malformed");
    if (statement->host != evidence.facts.host) return refuse("the certificate is for another host");
    const auto key = base64_decode(statement->key);
    if (!key || base64_decode(*receipt.host_key) != key)
        return refuse("the certificate is for another key");
    evidence.certified_key = key;
    return pass("the pinned server key certified the host key");
}

Verdict check_usage_digest(const Evidence& evidence) {
    const auto& statement = evidence.receipt.usage_statement;
    const auto& digest = evidence.facts.usage_sha256;
    if (statement.has_value() != digest.has_value())
        return refuse(digest ? "the usage statement is missing"
                             : "the receipt does not know the usage statement");
    if (!statement) return pass("there is no usage statement");
    if (sha256_hex(*statement) != *digest)
        return refuse("the usage statement is not the one of the receipt");
    return pass("the usage statement is the one of the receipt");
}

Verdict check_usage_signature(const Evidence& evidence) {
    const Receipt& receipt = evidence.receipt;
    if (!receipt.usage_statement && !receipt.usage_signature && !evidence.facts.host_signed)
        return pass("there is no usage statement");
    if (!receipt.usage_statement || !receipt.usage_signature ||
        !verifies(evidence.certified_key, *receipt.usage_statement, *receipt.usage_signature))
        return refuse("the certified host key has not signed the usage statement");
    return pass("the certified host key signed the usage statement");
}

Verdict check_usage_lease(const Evidence& evidence) {
    if (!evidence.receipt.usage_statement && !evidence.facts.host_signed)
        return pass("there is no usage statement");
    if (!evidence.usage) return refuse("the usage statement is malformed");
    if (evidence.usage->lease != evidence.facts.lease)
        return refuse("the usage statement is for another lease");
    // A host that is lost has signed no final statement; what it signed last is all that may be billed.
    if (!evidence.usage->is_final) return pass("the usage statement is the lost host's last one");
    return pass("the usage statement is the final one of this lease");
}

Verdict check_usage_running(const Evidence& evidence) {
    if (!evidence.receipt.usage_statement && !evidence.facts.host_signed)
        return pass("there is no usage statement");
    if (!evidence.usage) return refuse("the usage statement is malformed");
    if (evidence.facts.running_ms > evidence.usage->running_ms)
        return refuse("more time is billed than the host stated");
    if (evidence.facts.running_ms < evidence.usage->running_ms)
        return pass("less time is billed than the host stated: the server clipped the rest");
    return pass("the time billed is the time the host stated");
}

Verdict check_running_sum(const Evidence& evidence) {
    Int128 sum = 0;
    for (const ReceiptSegment& segment : evidence.facts.segments)
        sum += segment.running_ms;
    if (sum != evidence.facts.running_ms) return refuse("the segments do not add up to the running time");
    return pass("the segments add up to the running time");
}

std::int64_t storage_nanos_per_hour(const ReceiptFacts& facts) {
    return facts.storage ? facts.storage->nanos_per_hour : 0;
}

Verdict check_charge(const Evidence& evidence) {
    const ReceiptFacts& facts = evidence.facts;
    const auto charge =
        charge_of(facts.segments, facts.thousandths, storage_nanos_per_hour(facts), facts.traffic);
    if (!charge) return refuse("the charge does not fit");
    if (*charge != facts.charged_micros)
        return refuse("the parts come to " + std::to_string(*charge) + " micros, the receipt charges " +
                      std::to_string(facts.charged_micros));
    if (facts.fee_micros > facts.charged_micros) return refuse("the fee exceeds the charge");
    return pass("the charge follows from the segments and the traffic, to the micro");
}

/// The rate follows from what was reserved, and its part of the charge is what the cards alone do not cost.
Verdict check_storage(const Evidence& evidence) {
    const ReceiptFacts& facts = evidence.facts;
    if (!facts.storage) return pass("no storage is charged");
    constexpr Int128 bytes_hours_per_gib_month = (Int128{1} << 30) * 730;
    Int128 nanos_of_a_month = static_cast<Int128>(facts.storage->bytes) * 1000;
    if (__builtin_mul_overflow(nanos_of_a_month, Int128{facts.storage->micros_per_gib_month},
                               &nanos_of_a_month) ||
        nanos_of_a_month / bytes_hours_per_gib_month != facts.storage->nanos_per_hour)
        return refuse("the storage's rate does not follow from its size and price");
    const auto of_cards = charge_of(facts.segments, facts.thousandths);
    const auto with_storage = charge_of(facts.segments, facts.thousandths, facts.storage->nanos_per_hour);
    if (!of_cards || !with_storage || *with_storage - *of_cards != facts.storage->micros)
        return refuse("the storage's part is not what the charge has beside the cards");
    return pass("the storage's part follows from its size, its price and the running time");
}

/// Billed are whole MiB that the host stated, and what neither cards nor storage cost.
Verdict check_traffic(const Evidence& evidence) {
    const ReceiptFacts& facts = evidence.facts;
    if (!facts.traffic) return pass("no traffic is charged");
    constexpr std::int64_t bytes_per_mib = 1024 * 1024;
    const std::int64_t stated_bytes = evidence.usage ? evidence.usage->egress_bytes : 0;
    if (facts.traffic->mib > stated_bytes / bytes_per_mib)
        return refuse("more traffic is billed than the host stated");
    const auto without = charge_of(facts.segments, facts.thousandths, storage_nanos_per_hour(facts));
    if (!without || facts.charged_micros - *without != facts.traffic->micros)
        return refuse("the traffic's part is not what the charge has beside cards and storage");
    return pass("the traffic's part follows from what the host stated and its price");
}

Verdict check_period(const Evidence& evidence) {
    const ReceiptFacts& facts = evidence.facts;
    if (!facts.started_at && facts.running_ms > 0) return refuse("time is billed, but nothing was started");
    if (facts.started_at && *facts.started_at > facts.ended_at)
        return refuse("the end is before the start");
    return pass(facts.started_at ? "the lease ended after it started"
                                 : "nothing was started, nothing is billed");
}

using Check = Verdict (*)(Evidence&);

template <Verdict (*check)(const Evidence&)>
Verdict unchanged(Evidence& evidence) {
    return check(evidence);
}

struct NamedCheck {
    std::string_view name;
    Check check;
};

/// host_key comes before usage_signature, which rests on it.
constexpr NamedCheck checks_after_form[] = {
    {"server_key", &unchanged<check_server_key>},
    {"server_signature", &unchanged<check_server_signature>},
    {"signers", &unchanged<check_signers>},
    {"host_key", &check_host_key},
    {"usage_digest", &unchanged<check_usage_digest>},
    {"usage_signature", &unchanged<check_usage_signature>},
    {"usage_lease", &unchanged<check_usage_lease>},
    {"usage_running", &unchanged<check_usage_running>},
    {"running_sum", &unchanged<check_running_sum>},
    {"charge", &unchanged<check_charge>},
    {"storage", &unchanged<check_storage>},
    {"traffic", &unchanged<check_traffic>},
    {"period", &unchanged<check_period>},
};

ReceiptReport without_form(const std::string& reason) {
    ReceiptReport report;
    report.checks.push_back({"form", false, reason});
    for (const NamedCheck& named : checks_after_form)
        report.checks.push_back(
            {std::string(named.name), false, "not checked: there is no receipt to check"});
    return report;
}

std::optional<ReceiptSegment> parse_segment(std::string_view text) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto price = parse_natural(text.substr(0, space));
    const auto running = parse_natural(text.substr(space + 1));
    if (!price || !running) return std::nullopt;
    return ReceiptSegment{*price, *running};
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void read_period(SignedTextReader& reader, ReceiptFacts& facts) {
    const std::string started = reader.value("started_at");
    if (started != "none") facts.started_at = started;
    facts.ended_at = reader.value("ended_at");
    if ((facts.started_at && !is_moment(*facts.started_at)) || !is_moment(facts.ended_at)) reader.fail();
}

ReceiptStorage read_storage(SignedTextReader& reader) {
    ReceiptStorage storage;
    storage.bytes = reader.number("storage_bytes");
    storage.micros_per_gib_month = reader.number("storage_micros_per_gib_month");
    storage.nanos_per_hour = reader.number("storage_nanos_per_hour");
    storage.micros = reader.number("storage_micros");
    return storage;
}

ReceiptTraffic read_traffic(SignedTextReader& reader) {
    ReceiptTraffic traffic;
    traffic.mib = reader.number("egress_mib");
    traffic.micros_per_gib = reader.number("egress_micros_per_gib");
    traffic.micros = reader.number("egress_micros");
    return traffic;
}

void read_signers(SignedTextReader& reader, ReceiptFacts& facts) {
    const std::string digest = reader.value("usage_sha256");
    if (digest != "none") facts.usage_sha256 = digest;
    if (facts.usage_sha256 && !is_sha256(*facts.usage_sha256)) reader.fail();
    const std::string signers = reader.value("signers");
    if (signers != "server+host" && signers != "server") reader.fail();
    facts.host_signed = signers == "server+host";
}

}  // namespace

std::optional<ReceiptFacts> parse_receipt_text(std::string_view text) {
    SignedTextReader reader(text, "fallow-receipt-v1");
    ReceiptFacts facts;
    facts.server_key = reader.value("server_key");
    facts.lease = reader.value("lease");
    facts.order = reader.value("order");
    facts.renter = reader.value("renter");
    facts.seller = reader.value("seller");
    facts.host = reader.value("host");
    facts.listing = reader.value("listing");
    facts.cards = reader.value("cards");
    facts.thousandths = reader.number("thousandths");
    read_period(reader, facts);
    facts.end_reason = reader.value("end_reason");
    while (reader.next_is("segment")) {
        const auto segment = parse_segment(reader.value("segment"));
        if (!segment) reader.fail();
        facts.segments.push_back(segment.value_or(ReceiptSegment{}));
    }
    if (reader.next_is("storage_bytes")) facts.storage = read_storage(reader);
    if (reader.next_is("egress_mib")) facts.traffic = read_traffic(reader);
    facts.running_ms = reader.number("running_ms");
    facts.charged_micros = reader.number("charged_micros");
    facts.fee_micros = reader.number("fee_micros");
    read_signers(reader, facts);
    if (!reader.finished()) return std::nullopt;
    return facts;
}

std::optional<std::int64_t> charge_of(const std::vector<ReceiptSegment>& segments, std::int64_t thousandths,
                                      std::int64_t storage_nanos_per_hour,
                                      const std::optional<ReceiptTraffic>& traffic) {
    constexpr Int128 numerator_per_micro =
        3'600'000'000;  // 3,600,000 ms an hour × 1,000 thousandths a card
    constexpr Int128 numerator_per_mib_and_price = numerator_per_micro / 1024;  // exact
    static_assert(numerator_per_mib_and_price * 1024 == numerator_per_micro);
    Int128 numerator = 0;
    for (const ReceiptSegment& segment : segments) {
        Int128 product = static_cast<Int128>(segment.price_micros_per_hour) * segment.running_ms;
        const Int128 storage = static_cast<Int128>(storage_nanos_per_hour) * segment.running_ms;
        if (__builtin_mul_overflow(product, static_cast<Int128>(thousandths), &product) ||
            __builtin_add_overflow(product, storage, &product) ||
            __builtin_add_overflow(numerator, product, &numerator))
            return std::nullopt;
    }
    if (traffic) {
        Int128 product = static_cast<Int128>(traffic->mib) * traffic->micros_per_gib;
        if (__builtin_mul_overflow(product, numerator_per_mib_and_price, &product) ||
            __builtin_add_overflow(numerator, product, &numerator))
            return std::nullopt;
    }
    const Int128 charge = numerator / numerator_per_micro;
    if (charge > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    return static_cast<std::int64_t>(charge);
}

bool ReceiptReport::passed() const {
    return std::all_of(checks.begin(), checks.end(),
                       [](const ReceiptCheck& check) { return check.passed; });
}

ReceiptReport verify_receipt(std::string_view receipt_json, std::string_view pinned_server_key) {
    Evidence evidence;
    try {
        evidence.receipt = from_json<Receipt>(receipt_json);
    } catch (const ProtocolError& error) {
        return without_form(error.what());
    }
    const auto facts = parse_receipt_text(evidence.receipt.receipt);
    if (!facts) return without_form("the text is not a fallow-receipt-v1");
    evidence.facts = *facts;
    constexpr std::size_t key_bytes = 32;
    evidence.pinned_key = base64_decode(pinned_server_key);
    if (evidence.pinned_key && evidence.pinned_key->size() != key_bytes) evidence.pinned_key.reset();
    if (evidence.receipt.usage_statement)
        evidence.usage = parse_usage_statement(*evidence.receipt.usage_statement);

    ReceiptReport report;
    report.facts = facts;
    report.checks.push_back({"form", true, "the text is a fallow-receipt-v1"});
    for (const NamedCheck& named : checks_after_form) {
        Verdict verdict = named.check(evidence);
        report.checks.push_back({std::string(named.name), verdict.passed, std::move(verdict.detail)});
    }
    return report;
}

}  // namespace fallow::sdk
