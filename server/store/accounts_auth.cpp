#include "store/accounts_store.hpp"
#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

namespace {

using accounts::AgentCertificate;
using accounts::ApiKey;
using accounts::EnrollmentToken;

Error invalid_token() {
    return refuse(ErrorCode::token_invalid, "Ask the seller for a new enrolment token.", "/token");
}

}  // namespace

std::optional<accounts::FoundKey> AuthStore::find_key(const std::string& hash) {
    static const std::string sql = "SELECT " + qualified_columns(columns_of<ApiKey>(), "k") +
                                   ", o.status = 'frozen' FROM api_keys k"
                                   " JOIN organizations o ON o.id = k.organization_id WHERE k.hash = $1";
    const auto found = tx_.prepared("find_api_key", sql, {parameter_of(Bytes{hash})});
    if (found.empty()) return std::nullopt;
    const auto row = found[0];
    return accounts::FoundKey{read_row<ApiKey>(row), read_cell<bool>(row[row.size() - 1])};
}

std::optional<accounts::FoundCertificate> AuthStore::find_certificate(const std::string& serial_hex) {
    static const std::string sql =
        "SELECT c.serial_hex, h.organization_id, c.host_id, c.issued_at, c.expires_at, c.revoked_at,"
        " h.state = 'retired', o.status = 'frozen' FROM agent_certificates c"
        " JOIN hosts h ON h.id = c.host_id JOIN organizations o ON o.id = h.organization_id"
        " WHERE c.serial_hex = $1";
    const auto found = tx_.prepared("find_agent_certificate", sql, {parameter_of(serial_hex)});
    if (found.empty()) return std::nullopt;
    const auto row = found[0];
    return accounts::FoundCertificate{read_row<AgentCertificate>(row), read_cell<bool>(row[6]),
                                      read_cell<bool>(row[7])};
}

bool AuthStore::has_admin_key(Time now) {
    const auto found = tx_.query(
        "SELECT EXISTS (SELECT FROM api_keys WHERE 'admin' = ANY (scopes) AND revoked_at IS NULL AND "
        "expires_at > $1)",
        now);
    return read_cell<bool>(found[0][0]);
}

Result<EnrollmentToken> AuthStore::reserve_token(const std::string& hash, HostId host,
                                                 const std::string& signing_key, Time now) {
    static const std::string select = "SELECT " + select_list<EnrollmentToken>() +
                                      ", signing_key FROM enrollment_tokens WHERE hash = $1 FOR UPDATE";
    const auto found = tx_.query(select, Bytes{hash});
    if (found.empty()) return invalid_token();
    const auto row = found[0];
    EnrollmentToken token = read_row<EnrollmentToken>(row);
    if (now >= token.expires_at) return invalid_token();
    if (token.used_at) {
        const bool same_agent = read_cell<std::string>(row[row.size() - 1]) == signing_key;
        return same_agent ? Result<EnrollmentToken>(token) : Result<EnrollmentToken>(invalid_token());
    }
    token.host = host;
    token.used_at = now;
    tx_.query("UPDATE enrollment_tokens SET host_id = $2, used_at = $3, signing_key = $4 WHERE id = $1",
              token.id, host, now, signing_key);
    return token;
}

void AuthStore::record_certificate(const AgentCertificate& certificate) {
    tx_.query(
        "INSERT INTO agent_certificates (serial_hex, host_id, issued_at, expires_at) VALUES ($1, $2, $3, "
        "$4)",
        certificate.serial_hex, certificate.host, certificate.issued_at, certificate.expires_at);
    append_journal(tx_, author_, {journal_entry(certificate, "certificate.issued", author_.name)});
}

}  // namespace fallow::store
