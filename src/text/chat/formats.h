// The formats that registry.cpp lists, one file each.
#pragma once

#include "text/chat/chat_format.h"

namespace hadal::text {

extern const ChatFormat kDeepSeekV2;
extern const ChatFormat kDeepSeekV3;
extern const ChatFormat kDeepSeekR1;
extern const ChatFormat kDeepSeekR1_0528;
extern const ChatFormat kDeepSeekV31;
extern const ChatFormat kDeepSeekR1Distill;
extern const ChatFormat kHadalNano;
inline constexpr std::string_view kNanoBeforeTools = "You can call these functions:";
extern const ChatFormat kMoonlight;
extern const ChatFormat kKimiK2;
extern const ChatFormat kKimiK2Thinking;
extern const ChatFormat kGlm47;
extern const ChatFormat kChatMl;
extern const ChatFormat kQwen2;
extern const ChatFormat kQwen25;
extern const ChatFormat kQwen3;
extern const ChatFormat kQwen3Instruct;
extern const ChatFormat kQwen3Thinking;
extern const ChatFormat kQwQ;
extern const ChatFormat kLlama3;
extern const ChatFormat kLlama31;

}  // namespace hadal::text
