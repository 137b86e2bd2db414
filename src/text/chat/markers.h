// The markers of the formats besides those in chat_template.h. Ids differ between vocabularies, and
// some vocabularies lack some: there a marker is plain text.
#pragma once

#include <string_view>

namespace hadal::text {

inline constexpr std::string_view kThinkBegin = "<think>";
inline constexpr std::string_view kThinkEnd = "</think>";
inline constexpr std::string_view kToolCallsBegin = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kToolCallsEnd = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kToolCallBegin = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kToolCallEnd = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kToolSep = "<｜tool▁sep｜>";
inline constexpr std::string_view kToolOutputsBegin = "<｜tool▁outputs▁begin｜>";
inline constexpr std::string_view kToolOutputsEnd = "<｜tool▁outputs▁end｜>";
inline constexpr std::string_view kToolOutputBegin = "<｜tool▁output▁begin｜>";
inline constexpr std::string_view kToolOutputEnd = "<｜tool▁output▁end｜>";
inline constexpr std::string_view kFimBegin = "<｜fim▁begin｜>";
inline constexpr std::string_view kFimHole = "<｜fim▁hole｜>";
inline constexpr std::string_view kFimEnd = "<｜fim▁end｜>";

// Moonlight and Kimi-K2.
inline constexpr std::string_view kImSystem = "<|im_system|>";
inline constexpr std::string_view kImUser = "<|im_user|>";
inline constexpr std::string_view kImAssistant = "<|im_assistant|>";
inline constexpr std::string_view kImMiddle = "<|im_middle|>";
inline constexpr std::string_view kImEnd = "<|im_end|>";
inline constexpr std::string_view kKimiCallsBegin = "<|tool_calls_section_begin|>";
inline constexpr std::string_view kKimiCallsEnd = "<|tool_calls_section_end|>";
inline constexpr std::string_view kKimiCallBegin = "<|tool_call_begin|>";
inline constexpr std::string_view kKimiCallEnd = "<|tool_call_end|>";
inline constexpr std::string_view kKimiArgumentBegin = "<|tool_call_argument_begin|>";

// GLM-4.7.
inline constexpr std::string_view kGlmSystem = "<|system|>";
inline constexpr std::string_view kGlmUser = "<|user|>";
inline constexpr std::string_view kGlmAssistant = "<|assistant|>";
inline constexpr std::string_view kGlmObservation = "<|observation|>";
inline constexpr std::string_view kTaggedCallBegin = "<tool_call>";
inline constexpr std::string_view kTaggedCallEnd = "</tool_call>";
inline constexpr std::string_view kArgKeyBegin = "<arg_key>";
inline constexpr std::string_view kArgKeyEnd = "</arg_key>";
inline constexpr std::string_view kArgValueBegin = "<arg_value>";
inline constexpr std::string_view kArgValueEnd = "</arg_value>";

// ChatML: Qwen's.
inline constexpr std::string_view kImStart = "<|im_start|>";
inline constexpr std::string_view kToolResponseBegin = "<tool_response>";
inline constexpr std::string_view kToolResponseEnd = "</tool_response>";
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

// Llama 3.
inline constexpr std::string_view kBeginOfText = "<|begin_of_text|>";
inline constexpr std::string_view kHeaderBegin = "<|start_header_id|>";
inline constexpr std::string_view kHeaderEnd = "<|end_header_id|>";
inline constexpr std::string_view kEotId = "<|eot_id|>";
inline constexpr std::string_view kEomId = "<|eom_id|>";
inline constexpr std::string_view kLlamaEndOfText = "<|end_of_text|>";
inline constexpr std::string_view kPythonTag = "<|python_tag|>";

}  // namespace hadal::text
