// The part of a JobSpec that says what a job is given besides its files, and what ends it or has it tried
// again: secrets, a login for its image's registry, how often outputs are saved, deadlines, retries,
// health, idleness, and its network.
#pragma once

#include "api/field_decode.hpp"
#include "api/job_decode.hpp"
#include "api/json_writer.hpp"

namespace fallow::api {

/// Errors stay in the reader. `spec` has its outputs, memory and attempts already.
void read_job_terms(FieldReader& reader, JobSpec& spec);
/// The same fields, as members of the object that is being written.
void write_job_terms(JsonWriter& json, const JobSpec& spec);

}  // namespace fallow::api
