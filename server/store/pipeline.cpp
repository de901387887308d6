#include "store/pipeline.hpp"

#include <libpq-fe.h>

#include <cstdlib>
#include <optional>
#include <utility>

#include "base/assert.hpp"

namespace fallow::store {
namespace {

struct ResultDeleter {
    void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, ResultDeleter>;

std::string field_of(const PGresult* result, int field) {
    const char* text = PQresultErrorField(result, field);
    return text == nullptr ? "" : text;
}

DatabaseError error_of(const PGresult* result) {
    const std::string sqlstate = field_of(result, PG_DIAG_SQLSTATE);
    return {fault_of(sqlstate), sqlstate, field_of(result, PG_DIAG_CONSTRAINT_NAME),
            PQresultErrorMessage(result)};
}

std::size_t affected_rows(PGresult* result) {
    return std::strtoull(PQcmdTuples(result), nullptr, 10);
}

}  // namespace

void Pipeline::Closer::operator()(pg_conn* session) const {
    PQfinish(session);
}

Pipeline::Pipeline(ConnectionSettings settings) : settings_(std::move(settings)) {
    ignore_sigpipe();
    open();
}

Pipeline::~Pipeline() = default;

void Pipeline::reconnect() {
    session_.reset();
    broken_ = true;
    open();
}

void Pipeline::open() {
    prepared_.clear();
    queued_.clear();
    session_.reset(PQconnectdb(with_network_limits(settings_.url).c_str()));
    if (PQstatus(session_.get()) != CONNECTION_OK) fail_broken();
    const Answer answer(PQexec(session_.get(), session_setup(settings_).c_str()));
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) throw error_of(answer.get());
    broken_ = PQenterPipelineMode(session_.get()) != 1;
    if (broken_) fail_broken();
}

void Pipeline::fail_broken(Fault fault) {
    broken_ = true;
    throw DatabaseError(fault, "08006", {}, PQerrorMessage(session_.get()));
}

void Pipeline::require(bool sent) {
    if (!sent) fail_broken();
}

void Pipeline::queue(const std::string& name, const std::string& sql, const BinaryParameters& parameters) {
    if (broken_) throw DatabaseError(Fault::connection, "08003", {}, "the database session is broken");
    if (!prepared_.contains(name)) {
        require(PQsendPrepare(session_.get(), name.c_str(), sql.c_str(), 0, nullptr) == 1);
        prepared_.insert(name);
        queued_.push_back(name);
    }
    const auto count = parameters.values.size();
    std::vector<const char*> values;
    std::vector<int> lengths;
    values.reserve(count);
    lengths.reserve(count);
    for (const std::string& value : parameters.values) {
        values.push_back(value.data());
        lengths.push_back(static_cast<int>(value.size()));
    }
    const std::vector<int> formats(count, 1);
    require(PQsendQueryPrepared(session_.get(), name.c_str(), static_cast<int>(count), values.data(),
                                lengths.data(), formats.data(), 0) == 1);
    queued_.emplace_back();
}

void Pipeline::queue(const std::string& sql) {
    if (broken_) throw DatabaseError(Fault::connection, "08003", {}, "the database session is broken");
    require(PQsendQueryParams(session_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 1);
    queued_.emplace_back();
}

std::vector<std::size_t> Pipeline::flush(bool with_commit) {
    const Fault unanswered = with_commit ? Fault::in_doubt : Fault::connection;
    if (PQpipelineSync(session_.get()) != 1) fail_broken(unanswered);
    std::vector<std::size_t> affected;
    std::optional<DatabaseError> failure;
    bool is_decided = false;  // a statement before the last one has failed, so that one is not run
    std::size_t left = queued_.size();
    for (const std::string& prepares : std::exchange(queued_, {})) {
        --left;
        const Answer answer(PQgetResult(session_.get()));
        const ExecStatusType status = PQresultStatus(answer.get());
        is_decided = is_decided || (left > 0 && !field_of(answer.get(), PG_DIAG_SQLSTATE).empty());
        if (PQstatus(session_.get()) != CONNECTION_OK)
            fail_broken(is_decided ? Fault::connection : unanswered);
        const bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        if (!fine && status != PGRES_PIPELINE_ABORTED && !failure) failure = error_of(answer.get());
        if (!fine) prepared_.erase(prepares);
        if (fine && prepares.empty()) affected.push_back(affected_rows(answer.get()));
        // The mark of the answer's end.
        while (Answer rest{PQgetResult(session_.get())}) {
        }
    }
    const Answer sync(PQgetResult(session_.get()));
    if (PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC)
        fail_broken(is_decided ? Fault::connection : unanswered);
    if (failure && failure->fault() == Fault::connection)
        fail_broken(is_decided ? Fault::connection : unanswered);
    if (failure) throw DatabaseError(*failure);
    return affected;
}

PipelinedTransaction::PipelinedTransaction(Pipeline& pipeline) : pipeline_(pipeline) {
    pipeline_.queue("BEGIN");
}

PipelinedTransaction::~PipelinedTransaction() {
    if (!open_ || pipeline_.is_broken()) return;
    try {
        pipeline_.queue("ROLLBACK");
        pipeline_.flush();
    } catch (const std::exception&) {
        // Whatever is left of the transaction ends with the session.
        pipeline_.mark_broken();
    }
}

std::vector<std::size_t> PipelinedTransaction::run() {
    std::vector<std::size_t> affected = pipeline_.flush();
    affected.erase(affected.begin());  // of BEGIN
    return affected;
}

void PipelinedTransaction::commit() {
    FALLOW_ASSERT(open_);
    open_ = false;
    pipeline_.queue("COMMIT");
    pipeline_.flush(true);  // a refusal that comes as an answer is a rollback
}

std::vector<std::size_t> PipelinedTransaction::run_and_commit() {
    FALLOW_ASSERT(open_);
    pipeline_.queue("COMMIT");
    std::vector<std::size_t> affected = pipeline_.flush(true);  // a failure leaves it open
    open_ = false;
    affected.erase(affected.begin());
    affected.pop_back();
    return affected;
}

}  // namespace fallow::store
