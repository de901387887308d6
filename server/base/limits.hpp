// Every bound of the server, unit last. A relation between two of them is asserted here, beside them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fallow::limits {

// HTTP
inline constexpr std::size_t request_header_bytes_max = 16 * 1024;
inline constexpr std::size_t request_header_count_max = 100;
inline constexpr std::size_t request_target_bytes_max = 4 * 1024;
inline constexpr std::size_t request_body_bytes_max = 1024 * 1024;
inline constexpr std::int64_t request_header_timeout_ms = 10'000;
inline constexpr std::size_t request_body_bytes_per_s_min = 1024;
inline constexpr std::int64_t connection_idle_timeout_ms = 60'000;
inline constexpr std::int64_t connection_drain_grace_ms = 500;
inline constexpr std::size_t connections_max = 4096;
inline constexpr std::size_t connections_refused_max = 64;  // above connections_max, each told 503
inline constexpr std::int64_t tls_handshake_timeout_ms = 10'000;
inline constexpr std::int64_t reply_write_timeout_ms = 20'000;  // for each 64 KiB of a reply
inline constexpr std::int64_t linger_timeout_ms = 2'000;
inline constexpr std::size_t linger_bytes_max = 4 * request_body_bytes_max;
inline constexpr std::int64_t drain_timeout_ms = 30'000;
inline constexpr std::int64_t stream_heartbeat_ms = 15'000;
inline constexpr std::size_t worker_queue_max = 4096;

// Pages and lists
inline constexpr std::int64_t page_items_default = 50;
inline constexpr std::int64_t page_items_max = 100;
inline constexpr std::size_t name_bytes_max = 100;
inline constexpr std::size_t text_field_bytes_max = 1024;
inline constexpr std::size_t image_bytes_max = 512;
inline constexpr std::size_t models_per_order_max = 32;
inline constexpr std::size_t countries_per_order_max = 64;
inline constexpr std::size_t cards_per_host_max = 1024;
inline constexpr std::size_t cards_per_listing_max = cards_per_host_max;
inline constexpr std::size_t command_words_max = 256;
inline constexpr std::size_t environment_entries_max = 128;
inline constexpr std::size_t job_spec_bytes_max = 128 * 1024;
inline constexpr std::size_t inputs_per_job_max = 16;
inline constexpr std::size_t outputs_per_job_max = 16;
inline constexpr std::size_t secrets_per_job_max = 16;
inline constexpr std::int32_t job_restarts_max = 100;  // within one attempt

// Artifacts and logs
inline constexpr std::size_t artifact_part_bytes_max = request_body_bytes_max;
inline constexpr std::int64_t artifact_bytes_max = 256LL * 1024 * 1024;
inline constexpr std::int64_t artifact_bytes_per_organization_max = 4LL * 1024 * 1024 * 1024;
inline constexpr std::int64_t artifacts_per_organization_max = 10'000;
inline constexpr std::int64_t log_bytes_per_job_max = 16LL * 1024 * 1024;
inline constexpr std::size_t log_chunk_bytes_max = 64 * 1024;
inline constexpr std::int64_t artifact_retention_ms = 72LL * 3600 * 1000;

// Accounts
inline constexpr std::int64_t keys_per_organization_max = 100;               // that have not ended
inline constexpr std::int64_t enrollment_tokens_per_organization_max = 100;  // that have not ended

inline constexpr std::int64_t secrets_per_organization_max = 100;
inline constexpr std::size_t secret_bytes_max = 32 * 1024;

// The engine
inline constexpr std::size_t engine_queue_max = 4096;
inline constexpr std::size_t engine_batch_max = 512;
inline constexpr std::int64_t idempotency_retention_ms = 72LL * 3600 * 1000;
inline constexpr std::size_t idempotency_key_bytes_max = 255;

// The market
inline constexpr std::int64_t price_micros_per_hour_max = 1'000'000'000'000;  // a million a card-hour
inline constexpr std::int64_t amount_micros_max = 1'000'000'000'000'000;      // a thousand million
inline constexpr std::int32_t cards_per_order_max = 64;                       // on each host
inline constexpr std::int32_t hosts_per_order_max = 16;
inline constexpr std::size_t claiming_orders_max = 4;   // that later orders must not delay, at a time
inline constexpr std::size_t claim_listings_max = 128;  // that each of them looks at
inline constexpr std::size_t listings_per_change_max = 256;
inline constexpr std::size_t windows_per_listing_max = 28;
inline constexpr std::int32_t utc_offset_minutes_max = 14 * 60;
inline constexpr std::size_t renters_per_list_max = 256;
inline constexpr std::size_t images_per_listing_max = 64;
inline constexpr std::int64_t term_ms_min = 60'000;
inline constexpr std::int64_t term_ms_max = 366LL * 24 * 3600 * 1000;
inline constexpr std::int64_t reclaim_notice_ms_max = 3600 * 1000;
inline constexpr std::int32_t job_attempts_max = 10;
inline constexpr std::int32_t thousandths_per_card = 1000;
inline constexpr std::int64_t storage_micros_per_gib_month_max = 1'000'000'000;  // a thousand
inline constexpr std::int64_t egress_micros_per_gib_max = 1'000'000'000;
inline constexpr std::int64_t quoted_gib_max = 1'000'000;
inline constexpr std::int64_t egress_mib_max = (1LL << 33) - 1;       // of a lease; in bytes below 2^53
inline constexpr std::int64_t working_storage_bytes_max = 1LL << 44;  // of a job
inline constexpr std::size_t quote_bytes_max = 8192;
inline constexpr std::int64_t reservation_ahead_ms_max = 366LL * 24 * 3600 * 1000;
inline constexpr std::int64_t maintenance_ms_max = 30LL * 24 * 3600 * 1000;
inline constexpr std::size_t maintenance_reason_bytes_max = 200;
inline constexpr std::int64_t open_reservations_per_organization_max = 1000;
inline constexpr std::int64_t standing_orders_per_organization_max = 10'000;
inline constexpr std::int64_t candles_per_reply_max = 1000;
inline constexpr std::size_t policy_text_bytes_max = 64 * 1024;
inline constexpr std::size_t policy_rules_max = 256;
inline constexpr std::size_t policy_groups_max = 64;
inline constexpr std::size_t policy_approvals_max = 10'000;
inline constexpr std::size_t spot_pools_max = 4096;
inline constexpr std::size_t spot_pool_name_bytes_max = 160;
inline constexpr std::int64_t price_segments_per_lease_max = 1000;
inline constexpr std::int64_t spot_step_micros_default = 10'000;  // a cent a card-hour
inline constexpr std::size_t spot_holdings_looked_at_max = 4096;  // for one displacement

// Search
inline constexpr std::size_t query_bytes_max = 2000;
inline constexpr std::size_t query_depth_max = 16;         // of parentheses and `not`
inline constexpr std::size_t query_conditions_max = 64;    // FIELD OPERATOR VALUE
inline constexpr std::size_t query_values_max = 256;       // in all conditions together
inline constexpr std::size_t query_value_bytes_max = 100;  // of one value
inline constexpr std::size_t query_order_keys_max = 4;
inline constexpr std::int64_t query_limit_max = 100'000;
inline constexpr std::size_t facet_values_max = 50;  // of one field
inline constexpr std::size_t search_cursor_bytes_max = 2048;
inline constexpr std::int64_t search_catch_up_ms = 200;
inline constexpr std::size_t explained_changes_max = 16;
inline constexpr std::size_t explained_cards_in_decision_max = 4096;  // of a fill-or-kill, by the leader

static_assert(page_items_default <= page_items_max);
static_assert(query_bytes_max < request_target_bytes_max && query_value_bytes_max < query_bytes_max);
static_assert(search_cursor_bytes_max < request_target_bytes_max);
static_assert(job_spec_bytes_max < request_body_bytes_max);
static_assert(artifact_bytes_max <= artifact_bytes_per_organization_max);
static_assert(log_chunk_bytes_max < request_body_bytes_max);
static_assert(engine_batch_max <= engine_queue_max);
static_assert(quoted_gib_max * 1024 <= egress_mib_max);
// price × term × thousandths × cards fits in 127 bits with room to spare
static_assert(price_micros_per_hour_max <= (1LL << 40) && term_ms_max < (1LL << 35));

}  // namespace fallow::limits
