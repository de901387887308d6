// The second line of defence: every rule of the schema is broken by hand, as the role that would break it,
// and the database refuses it by the rule's name. A constraint that no row here breaks fails the last test.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "store/connection.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::Connection;
using store::DatabaseError;
using store::Fault;

struct Refusal {
    const char* constraint;
    const char* sql;  ///< {lease} and the like stand for the world's ids
    const char* role = "fallow_engine";
};

// The copies below insert a second row that differs from the world's in what the rule is about.
constexpr const char* a_transfer =
    "INSERT INTO transfers VALUES (gen_random_uuid(), {available}, {held}, {renter}, {renter}, ";

constexpr const char* as_renter = "fallow_request; SET LOCAL fallow.organization = {renter}";

const std::vector<Refusal>& refusals() {
    static const std::string transfer = a_transfer;
    static const std::vector<std::string> kept = {
        transfer + "0, 'hold', {lease}, NULL, 1)",
        transfer + "1000000000000001, 'hold', {lease}, NULL, 1)",
        transfer + "1, 'gift', NULL, NULL, 1)",
        transfer + "1, 'hold', NULL, NULL, 1)",
        transfer + "9000000, 'hold', {lease}, NULL, 1)",
    };
    static const std::vector<Refusal> all = {
        // Money
        {"accounts_balance_floor", kept[4].c_str()},
        {"accounts_balance_ceiling",
         "INSERT INTO transfers SELECT gen_random_uuid(), {external}, {available}, {platform}, {renter}, "
         "1000000000000000, 'deposit', NULL, NULL, 1"},
        {"accounts_kind_known", "INSERT INTO accounts VALUES (gen_random_uuid(), {renter}, 'bonus')"},
        {"accounts_one_per_kind",
         "INSERT INTO accounts (id, organization_id, kind) VALUES (gen_random_uuid(), {renter}, 'held')"},
        {"accounts_organization_exists",
         "INSERT INTO accounts (id, organization_id, kind) VALUES (gen_random_uuid(), {lease}, 'held')"},
        {"transfers_amount_positive", kept[0].c_str()},
        {"transfers_amount_limit", kept[1].c_str()},
        {"transfers_reason_known", kept[2].c_str()},
        {"transfers_lease_named", kept[3].c_str()},
        {"transfers_two_accounts",
         "INSERT INTO transfers VALUES (gen_random_uuid(), {held}, {held}, {renter}, {renter}, 1, 'hold', "
         "{lease}, "
         "NULL, 1)"},
        {"transfers_accounts_exist",
         "INSERT INTO transfers VALUES (gen_random_uuid(), {held}, {lease}, {renter}, {renter}, 1, 'hold', "
         "{lease}, "
         "NULL, 1)"},
        {"transfers_accounts_exist",
         "INSERT INTO transfers VALUES (gen_random_uuid(), {held}, {available}, {renter}, {seller}, 1, "
         "'release', "
         "{lease}, NULL, 1)"},
        // Organizations
        {"organizations_country_form", "UPDATE organizations SET country = 'de'"},
        {"organizations_name_length", "UPDATE organizations SET name = '' WHERE id = {renter}"},
        {"organizations_name_unique", "UPDATE organizations SET name = 'platform' WHERE id = {renter}"},
        {"organizations_status_known", "UPDATE organizations SET status = 'closed'"},
        {"organizations_version_positive", "UPDATE organizations SET version = 0"},
        {"organizations_failed_starts_dated", "UPDATE organizations SET failed_starts = 1"},
        // Hosts and cards
        {"hosts_maintenance_whole", "UPDATE hosts SET maintenance_from = 1"},
        {"hosts_maintenance_forward",
         "UPDATE hosts SET maintenance_from = 2, maintenance_until = 2, maintenance_reason = 'r'"},
        {"hosts_drained_while_leaving", "UPDATE hosts SET state = 'online', retiring = true"},
        {"hosts_guest_network_known", "UPDATE hosts SET guest_network = 'lan'"},
        {"hosts_working_storage_known", "UPDATE hosts SET working_storage = 'paper'"},
        {"hosts_country_form", "UPDATE hosts SET country = 'FRA'"},
        {"hosts_network_whole", "UPDATE hosts SET network_up_bytes_per_s = 1"},
        {"hosts_address_dated", "UPDATE hosts SET address = '198.41.0.4'"},
        {"hosts_disk_whole", "UPDATE hosts SET disk_read_bytes_per_s = 1"},
        {"hosts_record_not_negative", "UPDATE hosts SET lost_ms = -1"},
        {"hosts_name_length", "UPDATE hosts SET name = repeat('n', 101)"},
        {"hosts_organization_exists", "UPDATE hosts SET organization_id = {lease}"},
        {"hosts_sizes_not_negative", "UPDATE hosts SET memory_bytes = -1"},
        {"hosts_state_known", "UPDATE hosts SET state = 'lost'"},
        {"hosts_verification_known", "UPDATE hosts SET verification = 'maybe'"},
        {"hosts_version_positive", "UPDATE hosts SET version = 0"},
        {"hosts_name_unique",
         "INSERT INTO hosts SELECT gen_random_uuid(), organization_id, name, state, verification, country, "
         "runtime, "
         "engine, agent_version, boot_id, cpu_cores, memory_bytes, signing_key, signing_key_certificate, "
         "enrolled_at, NULL, 1 FROM hosts"},
        {"cards_used_within_card",
         "INSERT INTO lease_cards VALUES ({ended_lease}, {free_card}, 600, false), "
         "({lease}, {free_card}, 401, false)"},
        {"cards_used_within_card", "UPDATE lease_cards SET released = false"},
        {"cards_backend_known", "UPDATE cards SET backend = 'cuda'"},
        {"cards_capacity_whole", "UPDATE cards SET vram_bytes = 1, measured_at = NULL"},
        {"cards_device_class_known", "UPDATE cards SET device_class = 'tpu'"},
        {"cards_host_exists", "UPDATE cards SET host_id = {lease}"},
        {"cards_index_not_negative", "UPDATE cards SET index = -1"},
        {"cards_state_known", "UPDATE cards SET state = 'gone'"},
        {"cards_verification_known", "UPDATE cards SET verification = 'maybe'"},
        {"cards_uuid_unique", "UPDATE cards SET uuid = 'same'"},
        {"cards_version_positive", "UPDATE cards SET version = 0"},
        // Listings
        {"listings_ask_within_limit", "UPDATE listings SET ask_micros_per_hour = -1"},
        {"listings_bundle_positive", "UPDATE listings SET bundle_min = 0"},
        {"listings_cards_named", "UPDATE listings SET card_ids = '{}'"},
        {"listings_host_exists", "UPDATE listings SET host_id = {lease}"},
        {"listings_notice_within_limit", "UPDATE listings SET reclaim_notice_ms = 3600001"},
        {"listings_organization_exists", "UPDATE listings SET organization_id = {lease}"},
        {"listings_spot_floor_within_limit", "UPDATE listings SET spot_floor_micros_per_hour = -1"},
        {"listings_lists_within_limits", "UPDATE listings SET windows_utc_offset_minutes = 841"},
        {"listings_share_within_card", "UPDATE listings SET share_min_thousandths = 0"},
        {"listings_share_without_bundle",
         "UPDATE listings SET share_min_thousandths = 500, bundle_min = 2"},
        {"listings_state_known", "UPDATE listings SET state = 'closed'"},
        {"listings_term_in_order", "UPDATE listings SET term_min_ms = term_max_ms + 1"},
        {"listings_version_positive", "UPDATE listings SET version = 0"},
        {"listings_window_in_order", "UPDATE listings SET available_until = available_from"},
        // Orders
        {"orders_count_within_limit", "UPDATE orders SET count = 0"},
        {"orders_device_class_known", "UPDATE orders SET device_class = 'tpu'"},
        {"orders_filled_by_lease", "UPDATE orders SET lease_id = NULL"},
        {"orders_hosts_within_limit", "UPDATE orders SET hosts = 17"},
        {"orders_gang_network_of_gang", "UPDATE orders SET hosts = 1, gang_network = true"},
        {"orders_price_within_limit", "UPDATE orders SET price_max_micros_per_hour = 1000000000001"},
        {"orders_pricing_known", "UPDATE orders SET pricing = 'barter'"},
        {"orders_query_length", "UPDATE orders SET query = ''"},
        {"orders_reason_known", "UPDATE orders SET reason = 'bored'"},
        {"orders_end_use_known", "UPDATE orders SET end_use = 'unstated'"},
        {"orders_nvlink_known", "UPDATE orders SET nvlink = 'maybe'"},
        {"orders_policy_effect_known", "UPDATE orders SET policy_effect = 'ask'"},
        {"orders_share_of_one_card", "UPDATE orders SET thousandths = 500, count = 2"},
        {"orders_share_within_card", "UPDATE orders SET thousandths = 1001"},
        {"orders_state_known", "UPDATE orders SET state = 'open'"},
        {"orders_storage_within_limits", "UPDATE orders SET storage_bytes = -1"},
        {"orders_traffic_within_limits", "UPDATE orders SET egress_gib = -1"},
        {"orders_traffic_within_limits", "UPDATE orders SET egress_gib = 1, egress_mib_used = 1025"},
        {"orders_traffic_within_limits", "UPDATE orders SET overage_micros_used = overage_micros_max + 1"},
        {"orders_term_positive", "UPDATE orders SET term_ms = 0"},
        {"orders_version_positive", "UPDATE orders SET version = 0"},
        // Leases
        {"leases_attempt_positive", "UPDATE leases SET attempt = 0"},
        {"leases_cards_named", "UPDATE leases SET card_ids = '{}'"},
        {"leases_charge_exact", "UPDATE leases SET charged_micros = charged_micros + 1"},
        {"leases_end_reason_known", "UPDATE leases SET end_reason = 'bored' WHERE id = {ended_lease}"},
        {"leases_end_reason_when_ending", "UPDATE leases SET end_reason = NULL WHERE id = {ended_lease}"},
        {"leases_end_reason_when_ending", "UPDATE leases SET end_reason = 'outbid' WHERE id = {lease}"},
        {"leases_ended_at_when_ended", "UPDATE leases SET ended_at = NULL WHERE id = {ended_lease}"},
        {"leases_ended_holds_nothing", "UPDATE leases SET held_micros = 1 WHERE id = {ended_lease}"},
        {"leases_fee_exact", "UPDATE leases SET fee_micros = fee_micros - 1"},
        {"leases_fee_ppm_within_limit",
         "UPDATE leases SET fee_ppm = 1000001, fee_micros = 2000002 WHERE id = {lease}"},
        {"leases_held_not_negative", "UPDATE leases SET held_micros = -1 WHERE id = {lease}"},
        {"leases_price_not_below_floor",
         "UPDATE leases SET spot_floor_micros_per_hour = price_micros_per_hour + 1"},
        {"leases_price_within_limit", "UPDATE leases SET price_micros_per_hour = -1 WHERE id = {lease}"},
        {"leases_rank_within_hosts", "UPDATE leases SET rank = 1"},
        {"leases_chosen_by_known", "UPDATE leases SET chosen_by = 'luck'"},
        {"leases_released_after_end", "UPDATE leases SET released = true WHERE id = {lease}"},
        {"leases_running_not_negative", "UPDATE leases SET running_ms = -1"},
        {"leases_share_positive", "UPDATE leases SET thousandths = 0"},
        {"leases_storage_within_limits", "UPDATE leases SET storage_bytes = -1"},
        {"leases_sum_exact",
         "UPDATE leases SET price_micros_per_hour = price_micros_per_hour + 1 WHERE id = {lease}"},
        {"leases_sum_exact",
         "UPDATE leases SET storage_bytes = 1073741824, storage_micros_per_gib_month = 730 "
         "WHERE id = {lease}"},
        {"leases_sum_exact",
         "UPDATE leases SET storage_micros_per_gib_month = 1000000000 WHERE id = {ended_lease}"},
        {"leases_sum_exact",
         "UPDATE leases SET egress_micros_per_gib = 1000000000 WHERE id = {ended_lease}"},
        {"leases_sum_exact",
         "UPDATE leases SET egress_micros_per_gib = 1, egress_mib_max = 1, egress_mib = 1, "
         "egress_bytes_claimed = 1048576 WHERE id = {lease}"},
        {"leases_traffic_within_limits", "UPDATE leases SET egress_mib = 101 WHERE id = {ended_lease}"},
        {"leases_traffic_within_limits", "UPDATE leases SET egress_mib_max = 99 WHERE id = {ended_lease}"},
        {"leases_traffic_limited_where_priced", "UPDATE leases SET egress_mib_max = 1 WHERE id = {lease}"},
        {"leases_traffic_limited_where_priced",
         "UPDATE leases SET egress_mib_max = NULL WHERE id = {ended_lease}"},
        {"leases_state_known", "UPDATE leases SET state = 'done'"},
        {"leases_stop_reason_known", "UPDATE leases SET stop_reason = 'bored'"},
        {"leases_term_positive", "UPDATE leases SET term_ms = 0"},
        {"leases_version_positive", "UPDATE leases SET version = 0"},
        {"leases_one_per_job",
         "UPDATE leases SET job_id = {job}, state = 'running', end_reason = NULL, ended_at = NULL, "
         "released = false "
         "WHERE id = {ended_lease}"},
        {"lease_cards_share_within_card", "UPDATE lease_cards SET thousandths = 1001"},
        {"lease_cards_card_exists", "INSERT INTO lease_cards VALUES ({lease}, {order}, 1, false)"},
        // Spot
        {"lease_segments_in_order",
         "INSERT INTO lease_segments VALUES (gen_random_uuid(), {lease}, {renter}, 1, 0, 1, 1, 1), "
         "(gen_random_uuid(), {lease}, {renter}, 1, 5, 1, 1, 1)"},
        {"lease_segments_price_within_bid",
         "INSERT INTO lease_segments VALUES (gen_random_uuid(), {lease}, {renter}, 1, 0, 2, 1, 1)"},
        {"lease_segments_price_within_limit",
         "INSERT INTO lease_segments VALUES (gen_random_uuid(), {lease}, {renter}, 1, 0, -1, 1, 1)"},
        {"lease_segments_not_negative",
         "INSERT INTO lease_segments VALUES (gen_random_uuid(), {lease}, {renter}, 0, 0, 1, 1, 1)"},
        {"spot_pools_name_unique",
         "INSERT INTO spot_pools VALUES (gen_random_uuid(), 'p', 'P', 1, 1, 1, 1, 1, 1, 1, 1), "
         "(gen_random_uuid(), 'p', 'P', 1, 1, 1, 1, 1, 1, 1, 1)"},
        {"spot_pools_name_length",
         "INSERT INTO spot_pools VALUES (gen_random_uuid(), '', 'P', 1, 1, 1, 1, 1, 1, 1, 1)"},
        {"spot_pools_price_within_limit",
         "INSERT INTO spot_pools VALUES (gen_random_uuid(), 'p', 'P', 1, -1, 1, 1, 1, 1, 1, 1)"},
        {"spot_pools_not_negative",
         "INSERT INTO spot_pools VALUES (gen_random_uuid(), 'p', 'P', 1, 1, -1, 1, 1, 1, 1, 1)"},
        {"spot_pools_version_positive",
         "INSERT INTO spot_pools VALUES (gen_random_uuid(), 'p', 'P', 1, 1, 1, 1, 1, 1, 1, 0)"},
        {"spot_prices_price_within_limit", "INSERT INTO spot_prices VALUES (gen_random_uuid(), 1, -1)"},
        // Jobs, usage, bookings
        {"jobs_attempts_within_limit", "UPDATE jobs SET attempts = attempts_max + 1"},
        {"jobs_duration_positive", "UPDATE jobs SET max_duration_ms = 0"},
        {"jobs_rank_within_hosts", "UPDATE jobs SET rank = 1"},
        {"jobs_restarts_not_negative", "UPDATE jobs SET restarts = -1"},
        {"jobs_traffic_not_negative", "UPDATE jobs SET egress_mib_used = -1"},
        {"jobs_reason_known", "UPDATE jobs SET reason = 'bored'"},
        {"jobs_state_known", "UPDATE jobs SET state = 'done'"},
        {"jobs_version_positive", "UPDATE jobs SET version = 0"},
        {"usage_statements_traffic_not_negative",
         "INSERT INTO usage_statements VALUES ({lease}, 3, {renter}, {seller}, '', '', 1, 0, false, 1, "
         "-1)"},
        {"usage_statements_not_negative",
         "INSERT INTO usage_statements VALUES ({lease}, 3, {renter}, {seller}, '', '', -1, 0, false, 1)"},
        // Reservations
        {"reservations_state_known",
         "UPDATE reservations SET state = 'done', reason = 'used', deposit_micros = 0"},
        {"reservations_reason_known",
         "UPDATE reservations SET state = 'failed', reason = 'bored', "
         "deposit_micros = 0"},
        {"reservations_end_use_known", "UPDATE reservations SET end_use = 'fun'"},
        {"reservations_reason_when_over", "UPDATE reservations SET reason = 'used'"},
        {"reservations_time_in_order", "UPDATE reservations SET ends_at = starts_at"},
        {"reservations_cards_named", "UPDATE reservations SET card_ids = '{}'"},
        {"reservations_price_within_limit", "UPDATE reservations SET price_micros_per_hour = -1"},
        {"reservations_parts_within_limit", "UPDATE reservations SET penalty_ppm = 1000001"},
        {"reservations_money_not_negative", "UPDATE reservations SET deposit_micros = -1"},
        {"reservations_over_holds_nothing", "UPDATE reservations SET state = 'failed', reason = 'used'"},
        {"reservations_bond_from_known", "UPDATE reservations SET bond_from = 'held'"},
        {"reservations_started_by_lease", "UPDATE reservations SET state = 'started'"},
        {"reservations_offer_whole", "UPDATE reservations SET offer_micros = 1"},
        {"reservations_storage_within_limits", "UPDATE reservations SET stored_gib_max = -1"},
        {"reservations_traffic_within_limits", "UPDATE reservations SET egress_gib = -1"},
        {"reservations_version_positive", "UPDATE reservations SET version = 0"},
        {"transfers_reservation_named",
         "INSERT INTO transfers VALUES (gen_random_uuid(), {available}, {held}, {renter}, {renter}, 1, "
         "'reserve', NULL, NULL, 1, NULL)"},
        {"bookings_card_exists",
         "INSERT INTO bookings VALUES (gen_random_uuid(), {lease}, {renter}, "
         "{reservation}, 1, 2, 1)"},
        {"bookings_organization_exists",
         "INSERT INTO bookings VALUES (gen_random_uuid(), {card}, {lease}, "
         "{reservation}, 1, 2, 1)"},
        {"bookings_reservation_exists",
         "INSERT INTO bookings VALUES (gen_random_uuid(), {card}, {renter}, "
         "{lease}, 1, 2, 1)"},
        {"bookings_time_in_order",
         "INSERT INTO bookings VALUES (gen_random_uuid(), {card}, {renter}, "
         "{reservation}, 2, 2, 1)"},
        {"bookings_no_overlap",
         "INSERT INTO bookings VALUES (gen_random_uuid(), {card}, {renter}, {reservation}, 10, 20, 1), "
         "(gen_random_uuid(), {card}, {seller}, {reservation}, 19, 30, 1)"},
        {"listings_prices_within_limit", "UPDATE listings SET storage_micros_per_gib_month = -1"},
        {"orders_quote_whole", "UPDATE orders SET quoted_fee_ppm = 1"},
        {"freezes_kind_known", "INSERT INTO freezes VALUES (gen_random_uuid(), 'card', '', '', '', 1)"},
        {"market_settings_spot_step_within_limit",
         "UPDATE market_settings SET spot_step_micros_per_hour = 0"},
        {"market_settings_fee_within_limit", "UPDATE market_settings SET fee_ppm = 1000001"},
        {"price_candles_span_known",
         "INSERT INTO price_candles VALUES ('main', 'a30', 24, 'week', 0, NULL, NULL, NULL, NULL, 0, 0, 0, "
         "NULL, "
         "0, 0, 0)"},
        {"price_candles_prices_with_trades",
         "INSERT INTO price_candles VALUES ('main', 'a30', 24, 'day', 0, NULL, NULL, NULL, NULL, 1, 0, 0, "
         "NULL, "
         "0, 0, 0)"},
        {"price_candles_prices_ordered",
         "INSERT INTO price_candles VALUES ('main', 'a30', 24, 'day', 0, 1, 1, 2, 1, 1, 1, 1, NULL, 0, 0, "
         "0)"},
        {"price_candles_used_of_listed",
         "INSERT INTO price_candles VALUES ('main', 'a30', 24, 'day', 0, NULL, NULL, NULL, NULL, 0, 0, 0, "
         "NULL, "
         "1, 1, 2)"},
        {"policies_version_positive", "INSERT INTO policies VALUES (0, '', '', 1)"},
        {"policies_text_length", "INSERT INTO policies VALUES (9, repeat('#', 65537), '', 1)"},
        {"policy_approvals_organization_exists",
         "INSERT INTO policy_approvals VALUES (gen_random_uuid(), {lease}, 'h100-sxm', '', '', 1)"},
        {"policy_approvals_once",
         "INSERT INTO policy_approvals SELECT gen_random_uuid(), {renter}, 'a30', '', '', 1 FROM "
         "generate_series(1, 2)"},
        // The engine's own
        {"market_leader_not_negative", "UPDATE market_leader SET epoch = -1"},
        {"server_keys_one_row", "INSERT INTO server_keys VALUES (false, '', '')", "fallow_auth"},
        {"journal_seq_positive", "INSERT INTO journal VALUES ('main', 0, 1, 1, '', repeat('a', 64))"},
        {"journal_chain_form", "INSERT INTO journal VALUES ('main', 2, 1, 1, '', 'no chain')"},
        {"idempotency_keys_key_length",
         "INSERT INTO idempotency_keys VALUES ({renter}, '', '', '', 200, '', 1)"},
        {"idempotency_keys_status_form",
         "INSERT INTO idempotency_keys VALUES ({renter}, '', 'k', '', 20, '', 1)"},
        {"idempotency_keys_default_once",
         "INSERT INTO idempotency_keys VALUES ({renter}, 'r', 'k', '', 200, '', 1), ({renter}, 'r', 'k', "
         "'', 200, "
         "'', 2)"},
        // Accounts
        {"api_keys_hash_size",
         "INSERT INTO api_keys VALUES (gen_random_uuid(), {renter}, 'n', 'p', '\\x00', '{admin}', 1, 2)",
         "fallow_auth"},
        {"api_keys_hash_unique",
         "INSERT INTO api_keys SELECT gen_random_uuid(), {renter}, 'n', 'p', sha256('x'), '{admin}', 1, 2 "
         "FROM generate_series(1, 2)",
         "fallow_auth"},
        {"api_keys_name_length",
         "INSERT INTO api_keys VALUES (gen_random_uuid(), {renter}, '', 'p', sha256('x'), '{admin}', 1, 2)",
         "fallow_auth"},
        {"api_keys_organization_exists",
         "INSERT INTO api_keys VALUES (gen_random_uuid(), {lease}, 'n', 'p', sha256('x'), '{admin}', 1, 2)",
         "fallow_auth"},
        {"api_keys_scopes_known",
         "INSERT INTO api_keys VALUES (gen_random_uuid(), {renter}, 'n', 'p', sha256('x'), '{root}', 1, 2)",
         "fallow_auth"},
        {"saved_searches_organization_exists",
         "INSERT INTO saved_searches VALUES (gen_random_uuid(), {lease}, 'n', 'free', 1)",
         "fallow_request; SET LOCAL fallow.organization = {lease}"},
        {"saved_searches_name_length",
         "INSERT INTO saved_searches VALUES (gen_random_uuid(), {renter}, repeat('n', 101), 'free', 1)",
         as_renter},
        {"saved_searches_query_length",
         "INSERT INTO saved_searches VALUES (gen_random_uuid(), {renter}, 'n', '', 1)", as_renter},
        {"saved_searches_name_once",
         "INSERT INTO saved_searches SELECT gen_random_uuid(), {renter}, 'n', 'free', 1 FROM "
         "generate_series(1, 2)",
         as_renter},
        {"secrets_organization_exists",
         "INSERT INTO secrets VALUES (gen_random_uuid(), {lease}, 'n', 1, 1, 1, 'k', "
         "decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex'))",
         "fallow_request; SET LOCAL fallow.organization = {lease}"},
        {"secrets_name_form",
         "INSERT INTO secrets VALUES (gen_random_uuid(), {renter}, '../n', 1, 1, 1, 'k', "
         "decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex'))",
         as_renter},
        {"secrets_version_positive",
         "INSERT INTO secrets VALUES (gen_random_uuid(), {renter}, 'n', 0, 1, 1, 'k', "
         "decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex'))",
         as_renter},
        {"secrets_sizes",
         "INSERT INTO secrets VALUES (gen_random_uuid(), {renter}, 'n', 1, 1, 1, 'k', 'plain', 'plain')",
         as_renter},
        {"secrets_name_once",
         "INSERT INTO secrets SELECT gen_random_uuid(), {renter}, 'n', 1, 1, 1, 'k', "
         "decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex') FROM generate_series(1, 2)",
         as_renter},
        {"enrollment_tokens_bound_when_used",
         "INSERT INTO enrollment_tokens VALUES (gen_random_uuid(), {renter}, 'h', 'DE', sha256('x'), 1, 2, "
         "3)",
         "fallow_admin"},
        {"enrollment_tokens_hash_size",
         "INSERT INTO enrollment_tokens VALUES (gen_random_uuid(), {renter}, 'h', 'DE', '\\x00', 1, 2)",
         "fallow_admin"},
        {"enrollment_tokens_hash_unique",
         "INSERT INTO enrollment_tokens SELECT gen_random_uuid(), {renter}, 'h', 'DE', sha256('x'), 1, 2 "
         "FROM generate_series(1, 2)",
         "fallow_admin"},
        {"enrollment_tokens_organization_exists",
         "INSERT INTO enrollment_tokens VALUES (gen_random_uuid(), {lease}, 'h', 'DE', sha256('x'), 1, 2)",
         "fallow_admin"},
        {"agent_certificates_serial_form",
         "INSERT INTO agent_certificates (serial_hex, host_id, issued_at, expires_at) VALUES ('XY', "
         "{host}, 1, 2)",
         "fallow_auth"},
        // Files, written by the host's agent
        {"artifacts_bytes_within_limit",
         "INSERT INTO artifacts VALUES (gen_random_uuid(), {renter}, 'a', -1, repeat('a', 64), 'complete', "
         "0, 1, 2)",
         "fallow_agent"},
        {"artifacts_parts_not_negative",
         "INSERT INTO artifacts VALUES (gen_random_uuid(), {renter}, 'a', 1, repeat('a', 64), 'complete', "
         "-1, 1, 2)",
         "fallow_agent"},
        {"artifacts_sha256_form",
         "INSERT INTO artifacts VALUES (gen_random_uuid(), {renter}, 'a', 1, 'A', 'complete', 0, 1, 2)",
         "fallow_agent"},
        {"artifacts_state_known",
         "INSERT INTO artifacts VALUES (gen_random_uuid(), {renter}, 'a', 1, repeat('a', 64), 'lost', 0, "
         "1, 2)",
         "fallow_agent"},
        {"artifact_parts_number",
         "INSERT INTO artifacts VALUES ({order}, {renter}, 'a', 1, repeat('a', 64), 'uploading', 0, 1, 2); "
         "INSERT INTO artifact_parts VALUES ({order}, 256, 'x')",
         "fallow_agent"},
        {"artifact_parts_size",
         "INSERT INTO artifacts VALUES ({order}, {renter}, 'a', 1, repeat('a', 64), 'uploading', 0, 1, 2); "
         "INSERT INTO artifact_parts VALUES ({order}, 0, '')",
         "fallow_agent"},
        {"job_logs_size",
         "INSERT INTO job_logs VALUES ({job}, 1, 0, 'stdout', 1, decode(repeat('00', 65537), 'hex'), "
         "{renter})",
         "fallow_agent"},
        {"job_logs_stream_known", "INSERT INTO job_logs VALUES ({job}, 1, 0, 'stdin', 1, '', {renter})",
         "fallow_agent"},
        {"job_log_heads_not_negative",
         "INSERT INTO job_log_heads VALUES ({job}, 1, {renter}, -1, 0, false, 1)", "fallow_agent"},
        {"checkpoint_heads_not_negative", "INSERT INTO checkpoint_heads VALUES ({job}, {renter}, 1, -1)",
         "fallow_agent"},
        {"checkpoint_heads_problem_dated",
         "INSERT INTO checkpoint_heads VALUES ({job}, {renter}, 1, 0, 'a problem', NULL)", "fallow_agent"},
        {"checkpoint_chunks_sha256_form",
         "INSERT INTO checkpoint_chunks VALUES ({job}, 'A', {renter}, 1, 'x')", "fallow_agent"},
        {"checkpoint_chunks_size",
         "INSERT INTO checkpoint_chunks VALUES ({job}, repeat('a', 64), {renter}, 2, 'x')", "fallow_agent"},
        {"checkpoints_bytes_within_limit",
         "INSERT INTO checkpoints VALUES ({job}, 1, {renter}, 1, {lease}, 1, -1, 0, 1, '[]', '{}')",
         "fallow_agent"},
        {"checkpoints_entries_within_limit",
         "INSERT INTO checkpoints VALUES ({job}, 1, {renter}, 1, {lease}, 1, 0, 4097, 1, '[]', '{}')",
         "fallow_agent"},
        {"telemetry_cards_source_known",
         "INSERT INTO telemetry_cards VALUES ({lease}, {card}, {renter}, {seller}, NULL, 'guess', false, "
         "NULL, "
         "NULL, 1)",
         "fallow_agent"},
        {"telemetry_cards_sizes_positive",
         "INSERT INTO telemetry_cards VALUES ({lease}, {card}, {renter}, {seller}, NULL, 'nvml', false, 0, "
         "NULL, 1)",
         "fallow_agent"},
        {"telemetry_minutes_whole",
         "INSERT INTO telemetry_minutes VALUES ({lease}, {card}, 60001, {renter}, {seller}, 1)",
         "fallow_agent"},
        {"telemetry_minutes_within_limits",
         "INSERT INTO telemetry_minutes VALUES ({lease}, {card}, 60000, {renter}, {seller}, 1, 1000, 1001)",
         "fallow_agent"},
        {"artifact_parts_one_source",
         "INSERT INTO artifacts VALUES ({order}, {renter}, 'a', 1, repeat('a', 64), 'uploading', 0, 1, 2); "
         "INSERT INTO artifact_parts VALUES ({order}, 0, 'x', {job}, repeat('a', 64))",
         "fallow_agent"},
        {"output_chunks_sha256_form", "INSERT INTO output_chunks VALUES ({job}, 'A', {renter}, 1, 'x')",
         "fallow_agent"},
        {"output_chunks_size",
         "INSERT INTO output_chunks VALUES ({job}, repeat('a', 64), {renter}, 2, 'x')", "fallow_agent"},
        {"output_heads_sequence_not_negative",
         "INSERT INTO output_heads VALUES ({job}, 1, {renter}, {lease}, -1)", "fallow_agent"},
        {"lease_progress_step_known",
         "INSERT INTO lease_progress VALUES ({lease}, {renter}, 'guessing', 0, NULL, 1)", "fallow_agent"},
        {"lease_progress_within_total",
         "INSERT INTO lease_progress VALUES ({lease}, {renter}, 'pulling_image', 2, 1, 1)", "fallow_agent"},
        {"gang_members_public_key_form",
         "INSERT INTO gang_members VALUES ({lease}, {order}, 0, {renter}, {host}, 'key', 'a:1', 1)",
         "fallow_agent"},
        {"gang_members_endpoint_length",
         "INSERT INTO gang_members VALUES ({lease}, {order}, 0, {renter}, {host}, repeat('A', 43) || '=', "
         "'', 1)",
         "fallow_agent"},
    };
    return all;
}

std::string filled(std::string text, const World& world) {
    const std::map<std::string, std::string> values = {
        {"{renter}", sql(world.renter)},       {"{seller}", sql(world.seller)},
        {"{platform}", sql(platform)},         {"{external}", sql(external)},
        {"{available}", sql(world.available)}, {"{held}", sql(world.held)},
        {"{lease}", sql(world.lease)},         {"{ended_lease}", sql(world.ended_lease)},
        {"{order}", sql(world.order)},         {"{job}", sql(world.job)},
        {"{card}", sql(world.card)},           {"{free_card}", sql(world.free_card)},
        {"{host}", sql(world.host)},           {"{reservation}", sql(world.reservation)},
    };
    for (const auto& [name, value] : values) {
        for (auto at = text.find(name); at != std::string::npos; at = text.find(name))
            text.replace(at, name.size(), value);
    }
    return text;
}

DatabaseError refusal_of(Connection& connection, const std::string& role, const std::string& statement) {
    try {
        store::Transaction tx(connection, "BEGIN; SET LOCAL ROLE " + role);
        tx.exec(statement);
    } catch (const DatabaseError& error) {
        return error;
    }
    return {Fault::other, {}, {}, "the database took it"};
}

TEST_CASE("every invariant is refused by its name, to the role that would break it", "[invariants]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    connection.exec("SET fallow.host = " + sql(database.world.host));
    for (const Refusal& refusal : refusals()) {
        const std::string statement = filled(refusal.sql, database.world);
        INFO(statement);
        const DatabaseError error = refusal_of(connection, filled(refusal.role, database.world), statement);
        INFO(error.what());
        CHECK(error.fault() == Fault::constraint);
        CHECK(error.constraint() == refusal.constraint);
    }
}

TEST_CASE("what a trigger alone moves, and what was written once, is out of the engine's reach",
          "[invariants]") {
    SeededDatabase database;
    Connection connection({.url = database.url});
    for (const char* statement : {"UPDATE cards SET used = 0",
                                  "UPDATE accounts SET balance_micros = 1",
                                  "INSERT INTO cards SELECT * FROM cards",
                                  "UPDATE transfers SET amount_micros = 1",
                                  "DELETE FROM transfers",
                                  "UPDATE usage_statements SET clipped_ms = 1",
                                  "DELETE FROM usage_statements",
                                  "UPDATE lease_segments SET price_micros_per_hour = 1",
                                  "DELETE FROM lease_segments",
                                  "UPDATE spot_prices SET price_micros_per_hour = 1",
                                  "UPDATE journal SET record = ''",
                                  "DELETE FROM journal",
                                  "DELETE FROM journal_0",
                                  "UPDATE receipts SET statement = ''",
                                  "DELETE FROM lease_cards",
                                  "DELETE FROM leases",
                                  "TRUNCATE transfers",
                                  "ALTER TABLE cards DISABLE TRIGGER ALL",
                                  "DROP TABLE cards",
                                  "CREATE TABLE mine (x integer)",
                                  "SELECT hash FROM api_keys",
                                  "SET LOCAL ROLE fallow_owner"}) {
        INFO(statement);
        const DatabaseError error = refusal_of(connection, "fallow_engine", statement);
        INFO(error.what());
        CHECK(error.sqlstate() == "42501");
    }
}

TEST_CASE("every constraint of the schema has a test that breaks it", "[invariants]") {
    Connection connection(
        {.url = PostgresFixture::as_superuser(PostgresFixture::instance().fresh_database())});
    std::set<std::string> tested;
    for (const Refusal& refusal : refusals())
        tested.insert(refusal.constraint);
    const auto found = connection.exec(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN "
        "('c','u','x','f') "
        "AND conparentid = 0 AND conislocal UNION "
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE indisunique AND NOT indisprimary AND relnamespace = 'public'::regnamespace "
        "AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)");
    REQUIRE(found.size() > 80);
    for (const auto& row : found) {
        INFO(row[0].c_str());
        CHECK(tested.contains(row[0].c_str()));
    }
}

}  // namespace
}  // namespace fallow::test
