// An organization's own money: balances and transfers.
#include "api/accounts_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<http::Reply> account(JobCall& call) {
    const auto result = call.tx.query(
        "SELECT kind, balance_micros FROM accounts WHERE organization_id = $1", call.actor().organization);
    std::int64_t available = 0;
    std::int64_t held = 0;
    std::int64_t earned = 0;
    for (const auto& row : result) {
        const auto balance = store::read_cell<std::int64_t>(row[1]);
        switch (store::read_cell<ledger::AccountKind>(row[0])) {
            case ledger::AccountKind::available:
                available = balance;
                break;
            case ledger::AccountKind::held:
                held = balance;
                break;
            case ledger::AccountKind::earned:
                earned = balance;
                break;
            case ledger::AccountKind::external:
            case ledger::AccountKind::fees:
                break;  // the operator's: see GET /v1/admin/ledger
        }
    }
    JsonWriter json;
    json.begin_object()
        .field("available_micros", available)
        .field("held_micros", held)
        .field("earned_micros", earned)
        .field("currency", "USD")
        .end_object();
    return json_reply(json.take());
}

/// Both sides of an organization's transfers have an index of their own, so the newest of each are merged.
Result<http::Reply> transfers(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), "transfers", 1);
    if (!page) return page.error();
    store::Parameters parameters{store::parameter_of(call.actor().organization)};
    std::string bound;
    if (page->after) {
        parameters.push_back(store::parameter_of(page->after->numbers[0]));
        parameters.push_back(format_uuid(page->after->id));
        bound = " AND (at, id) < ($2::bigint, $3::uuid)";
    }
    parameters.push_back(store::parameter_of(page->limit + 1));
    const std::string tail =
        bound + " ORDER BY at DESC, id DESC LIMIT $" + std::to_string(parameters.size()) + "::bigint)";
    const std::string& columns = store::select_list<ledger::Transfer>();
    const auto rows = store::read_all<ledger::Transfer>(call.tx.query_with(
        "(SELECT " + columns + " FROM transfers WHERE debit_organization_id = $1" + tail +
            " UNION ALL (SELECT " + columns +
            " FROM transfers WHERE credit_organization_id = $1 AND credit_organization_id <> "
            "debit_organization_id" +
            tail + " ORDER BY at DESC, id DESC LIMIT $" + std::to_string(parameters.size()) + "::bigint",
        parameters));
    // Where a withdrawal or a bond comes from, and a bond goes back to, the reason does not tell.
    const auto kinds = call.tx.query("SELECT id, kind FROM accounts WHERE organization_id = $1",
                                     call.actor().organization);
    const auto kind_of = [&](AccountId account) {
        for (const auto& row : kinds)
            if (store::read_cell<AccountId>(row[0]) == account)
                return store::read_cell<ledger::AccountKind>(row[1]);
        return ledger::AccountKind::earned;
    };
    return list_reply(
        rows, page->limit, "transfers",
        [&](JsonWriter& json, const ledger::Transfer& row) {
            write(json, view_of(row, kind_of(row.debit), kind_of(row.credit)));
        },
        [](const ledger::Transfer& row) {
            return CursorKey{{row.at.ms}, row.id.raw};
        });
}

}  // namespace

void add_money_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/account", any, no_body, not_keyed, JobHandler{account}});
    routes.push_back({get, "/v1/account/transfers", any, no_body, not_keyed, JobHandler{transfers}});
}

}  // namespace fallow::api
