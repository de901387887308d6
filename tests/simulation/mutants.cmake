# Planted bugs. Each is a copy of one source with one text replaced, compiled into a simulator of its own: the
# product's binaries know nothing of it, and a text that is no longer there stops the configuration, so that
# the list cannot go stale. The mutated object stands before the libraries and takes its original's place.
# A mutant is built only when it is asked for: target `mutants`, or fallow-mutant-NAME.
set(mutant_names)
set(mutants_folder ${CMAKE_BINARY_DIR}/mutants)

# mutant(NAME FILE TEXT REPLACEMENT)
function(mutant name file text replacement)
  file(READ ${CMAKE_SOURCE_DIR}/${file} source)
  string(FIND "${source}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "mutant ${name}: ${file} does not contain: ${text}")
  endif()
  string(REPLACE "${text}" "${replacement}" source "${source}")
  get_filename_component(stem ${file} NAME)
  set(copy ${mutants_folder}/${name}/${stem})
  file(CONFIGURE OUTPUT ${copy} CONTENT "${source}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  set(target fallow-mutant-${name})
  # A mutated file of the simulator itself takes the place of its own object.
  add_executable(${target} EXCLUDE_FROM_ALL ${copy}
    $<FILTER:$<TARGET_OBJECTS:fallow_simulation>,EXCLUDE,/simulation/${stem}>)
  target_link_libraries(${target} PRIVATE fallow_options fallow_engine fallow_market fallow_agent_lib fallow_test_market CLI11::CLI11)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_options(${target} PRIVATE -w)  # what a bug leaves unused
  set(mutant_names ${mutant_names} ${name} PARENT_SCOPE)
endfunction()

# --- the engine
mutant(no_idempotency_row server/engine/writer.cpp
  "batch.idempotency.push_back(IdempotencyRecord{" "static_cast<void>(IdempotencyRecord{")
mutant(forgotten_undo server/engine/writer.cpp
  "    undo_batch(growing_);\n    undo_batch(failed);" "    undo_batch(failed);")
mutant(lost_commands server/engine/writer.cpp
  "    requeue(std::move(later), CommitOutcome::failed);\n" "")
mutant(answered_uncommitted server/engine/writer_database.cpp
  "if (result_->outcome == CommitOutcome::committed) {\n        if (in_flight_.writes())"
  "if (result_->outcome != CommitOutcome::stale) {\n        if (in_flight_.writes() && result_->outcome == CommitOutcome::committed)")
mutant(guessed_outcome server/engine/writer_database.cpp
  "result_ = CommitResult{deps_.store.resolve(rows_.journal), \"resolved from the journal\"};"
  "result_ = CommitResult{CommitOutcome::committed, {}};")
mutant(impatient_new_leader server/engine/writer_database.cpp
  "presence_.expect(id, since);" "presence_.expect(id, since - config_.host_lost);")
mutant(no_leader_row tests/simulation/database.cpp
  "return journal.epoch == epoch_ && journal.sequence == sequence_ + 1;" "return journal.sequence > 0;")

# --- the market and the ledger
mutant(missing_leg server/market/leases.cpp
  "    if (fee.count > 0)\n" "    if (fee.count < 0)\n")
mutant(kept_hold server/market/leases.cpp
  "    if (lease.held.count > 0)\n        tx.transfer" "    if (lease.held.count > 0 && released)\n        tx.transfer")
mutant(trusted_clock server/market/agent_reports.cpp
  "    Millis accepted = std::min(claimed, end - *lease.running_at + rules.heartbeat);\n    accepted = std::min(accepted, lease.meter.running + (end - *lease.usage_at) + rules.heartbeat);"
  "    Millis accepted = claimed;")
mutant(kept_cards server/market/agent_reports.cpp
  "        release_cards(tx, lease.id);" "        static_cast<void>(lease.id);")
mutant(stuck_job server/market/leases.cpp
  "    if (lease.job) settle_job(" "    if (lease.job && reason != EndReason::host_lost) settle_job(")
mutant(head_blocks server/market/matching.cpp
  "        if (!match) continue;" "        if (!match) return;")
mutant(double_lease server/market/filling.cpp
  "    if (lease.job) assign_job(tx, *lease.job, lease);"
  "    if (lease.job && lease.price.micros_per_hour % 300000 != 0) assign_job(tx, *lease.job, lease);")
mutant(idle_again server/market/jobs.cpp
  "        case EndReason::idle:\n            return false;" "            return false;\n        case EndReason::idle:\n            return true;")
mutant(given_up server/market/jobs.cpp
  "        case EndReason::temporary_failure:\n        case EndReason::unhealthy:\n            return true;"
  "            return true;\n        case EndReason::temporary_failure:\n        case EndReason::unhealthy:\n            return false;")
mutant(refreshed_traffic server/market/jobs.cpp
  "        order.traffic_used = most_of(order.traffic_used, job.traffic_used);"
  "        static_cast<void>(job);")
mutant(unbounded_traffic server/market/agent_reports.cpp
  "    if (lease.egress_mib_max) mib = std::min(mib, *lease.egress_mib_max);\n" "")
mutant(raised_afterwards server/market/agent_reports.cpp
  "    charge(tx, lease, accepted);\n    follow_pool(tx, lease, *lease.usage_at);"
  "    follow_pool(tx, lease, *lease.usage_at);\n    charge(tx, lease, accepted);")
mutant(sniped_promise server/market/spot.cpp
  "    if (all_free) fill(tx, id, match);"
  "    static_cast<void>(all_free);")

# --- the agent
mutant(bills_while_frozen tests/simulation/agent.cpp
  "        record.meter.pause(watched.frozen_boot_ms);" "        record.meter.read(watched.frozen_boot_ms);")
mutant(early_thaw client-sdk/agent/planner.cpp
  "if (s.fenced || !s.is_confirmed) return std::nullopt;" "if (s.fenced) return std::nullopt;")
mutant(bills_unseen client-sdk/agent/planner.cpp
  "return ((runs && r.meter.counting) || r.restart)" "return (r.meter.counting || r.restart)")
mutant(no_upload client-sdk/agent/planner.cpp
  "return r.exit_reported && r.outputs_uploaded;" "return r.exit_reported;")
mutant(orphans_stay client-sdk/agent/planner.cpp
  "    if (observed.engine_reachable) plan_orphans(observed, actions);" "    if (!observed.engine_reachable) plan_orphans(observed, actions);")

list(TRANSFORM mutant_names PREPEND fallow-mutant- OUTPUT_VARIABLE mutant_targets)
add_custom_target(mutants DEPENDS ${mutant_targets})
