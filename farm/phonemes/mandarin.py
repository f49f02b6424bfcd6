"""What Mandarin dictionaries leave open, in tables: neutral tones, words, erhua, letters.

Data only. The words with a neutral second syllable are those that the Putonghua proficiency test
lists as obligatory, as far as readers of prose meet them; `tests/phonemes/pinyin.tsv` has cases.
"""

from __future__ import annotations

_NEUTRAL = """
    爱人 巴掌 把手 爸爸 白净 帮手 包袱 包涵 本事 比方 鼻子 扁担 别扭 拨弄 簸箕 补丁 财主 裁缝
    柴火 称呼 厨子 畜生 窗户 刺猬 聪明 凑合 耷拉 答应 打扮 打发 打量 打算 打听 大方 大夫 大爷 大意
    耽搁 耽误 道士 灯笼 提防 嘀咕 地道 地方 弟弟 弟兄 点心 东家 东西 动静 动弹 豆腐 嘟囔 对付 队伍
    多么 哆嗦 耳朵 废物 风筝 福气 甘蔗 干事 高粱 膏药 告诉 疙瘩 哥哥 胳膊 个子 跟头 工夫 功夫 公公
    姑姑 姑娘 骨头 故事 寡妇 怪物 官司 棺材 罐头 规矩 闺女 蛤蟆 哈欠 含糊 行当 和尚 核桃 红火
    后头 厚道 狐狸 胡琴 胡萝卜 糊涂 护士 皇上 活泼 火候 伙计 机灵 脊梁 记号 记性 家伙 架势 嫁妆 见识
    将就 交情 叫唤 街坊 结实 姐夫 姐姐 戒指 精神 舅舅 咳嗽 客气 口袋 窟窿 快活 困难 阔气 喇叭 喇嘛
    懒得 浪头 老婆 老实 老爷 累赘 篱笆 里头 力气 厉害 利落 利索 粮食 溜达 萝卜 骆驼 妈妈 麻烦 麻利
    马虎 码头 买卖 馒头 忙活 冒失 眉毛 媒人 妹妹 门道 眯缝 迷糊 苗条 名堂 名字 明白 蘑菇 模糊 木匠
    木头 那么 奶奶 难为 脑袋 能耐 你们 念叨 念头 娘家 女婿 暖和 疟疾 牌楼 盘算 朋友 脾气 屁股 便宜
    漂亮 婆家 婆婆 铺盖 欺负 前头 亲戚 勤快 清楚 亲家 拳头 热闹 人家 人们 认识 扫帚 商量 上司 上头
    烧饼 少爷 什么 生意 牲口 师父 师傅 石匠 石榴 石头 时候 实在 拾掇 使唤 世故 事情 收成 收拾 首饰
    叔叔 舒服 舒坦 疏忽 爽快 思量 算计 岁数 孙子 他们 她们 它们 太太 特务 挑剔 跳蚤 铁匠 头发 妥当
    唾沫 挖苦 娃娃 晚上 尾巴 委屈 位置 稳当 我们 稀罕 媳妇 喜欢 下巴 吓唬 先生 乡下 相声 消息
    小气 笑话 谢谢 心思 星星 猩猩 行李 兄弟 休息 秀才 秀气 学生 学问 丫头 衙门 哑巴 胭脂 烟筒 眼睛
    秧歌 养活 吆喝 妖精 钥匙 衣服 衣裳 意思 应酬 冤枉 月饼 月亮 云彩 运气 在乎 咱们 早上 怎么 扎实
    张罗 丈夫 帐篷 招呼 招牌 折腾 这么 枕头 芝麻 知识 指甲 指头 主意 转悠 庄稼 壮实 状元 字号 自在
    祖宗 嘴巴 琢磨 作坊 苍蝇 玻璃 葡萄 枇杷 琵琶 玫瑰 葫芦 茄子 狮子 身子 儿子 日子 样子 椅子 影子
    里边 外边 上边 下边 后边 前边 左边 右边 东边 西边 南边 北边 旁边 太阳 地下 底下 家里 心里 夜里
    屋里
    妈妈 爷爷 伯伯 嫂嫂 宝宝 觉得 记得 晓得 懒得 值得 显得 舍得 省得 免得 使得 似的 是的 别的 有的
"""
#: Words whose last syllable is neutral.
NEUTRAL = frozenset(_NEUTRAL.split())

#: Words that dictionaries read otherwise than books mean them, or do not have.
WORDS = {
    "一行": "yi1 hang2", "两行": "liang3 hang2", "几行": "ji3 hang2", "每行": "mei3 hang2",
    "大夫": "dai4 fu5", "的话": "de5 hua4", "嗯": "en4", "噢": "o1", "喔": "o1", "嗬": "he1",
    "不亦说乎": "bu4 yi4 yue4 hu1", "一会儿": "yi1 hui4 er5",
    "流血": "liu2 xue4", "出血": "chu1 xue4", "吐血": "tu4 xue4", "血淋淋": "xie3 lin2 lin2",
    "会儿": "hui4 er5", "谁": "shei2", "还给": "huan2 gei3", "还书": "huan2 shu1",
    "还钱": "huan2 qian2", "还债": "huan2 zhai4",
    "重病": "zhong4 bing4", "这么着": "zhe4 me5 zhe5", "不了": "bu4 liao3", "为人": "wei2 ren2",
    "受不了": "shou4 bu5 liao3", "大不了": "da4 bu5 liao3", "免不了": "mian3 bu5 liao3",
    "少不了": "shao3 bu5 liao3", "忘不了": "wang4 bu5 liao3", "了不起": "liao3 bu5 qi3",
    "了得": "liao3 de5", "差点": "cha4 dian3", "差点儿": "cha4 dian3 er5",
    "差一点": "cha4 yi1 dian3",
    "便宜": "pian2 yi5", "东西": "dong1 xi5", "地道": "di4 dao5", "长着": "zhang3 zhe5",
    "长得": "zhang3 de5", "很长": "hen3 chang2", "知道": "zhi1 dao4", "似的": "shi4 de5",
    "朝着": "chao2 zhe5", "数着": "shu3 zhe5", "背着": "bei1 zhe5", "教着": "jiao1 zhe5",
    "模样": "mu2 yang4", "一模一样": "yi1 mu2 yi1 yang4", "尽管": "jin3 guan3",
    "尽量": "jin3 liang4",
    "几乎": "ji1 hu1", "茶几": "cha2 ji1", "答应": "da1 ying5", "人家": "ren2 jia5",
    "没有": "mei2 you3", "倒是": "dao4 shi4", "倒也": "dao4 ye3", "好好": "hao3 hao3",
    "干吗": "gan4 ma2", "干嘛": "gan4 ma2", "哪里": "na3 li3", "这里": "zhe4 li3",
    "那里": "na4 li3",
    "给予": "ji3 yu3", "供给": "gong1 ji3", "着火": "zhao2 huo3", "着凉": "zhao2 liang2",
    "着迷": "zhao2 mi2", "着想": "zhuo2 xiang3", "着落": "zhuo2 luo4", "着陆": "zhuo2 lu4",
    "睡着": "shui4 zhao2", "找着": "zhao3 zhao2", "点着": "dian3 zhao2",
    "用不着": "yong4 bu5 zhao2",
    "犯不着": "fan4 bu5 zhao2", "数不清": "shu3 bu5 qing1", "孔子": "kong3 zi3",
    "孟子": "meng4 zi3",
    "老子": "lao3 zi3", "孙子兵法": "sun1 zi3 bing1 fa3", "首都": "shou3 du1",
    "行不通": "xing2 bu5 tong1",
    "一教": "yi1 jiao1", "教课": "jiao1 ke4", "教给": "jiao1 gei3", "教唱": "jiao1 chang4",
    "谢谢你": "xie4 xie5 ni3", "谢谢您": "xie4 xie5 nin2", "谢谢你们": "xie4 xie5 ni3 men5",
    "蒙古": "meng3 gu3", "内蒙古": "nei4 meng3 gu3", "内蒙": "nei4 meng3",
    "蒙古人": "meng3 gu3 ren2", "蒙古国": "meng3 gu3 guo2", "朝鲜": "chao2 xian3",
    "朝鲜人": "chao2 xian3 ren2", "朝鲜半岛": "chao2 xian3 ban4 dao3",
    "南朝鲜": "nan2 chao2 xian3", "朝鲜战争": "chao2 xian3 zhan4 zheng1",
    "缅甸": "mian3 dian4", "草甸": "cao3 dian4", "尼泊尔": "ni2 bo2 er3", "乌拉圭": "wu1 la1 gui1",
    "几内亚": "ji1 nei4 ya4", "青藏": "qing1 zang4", "青藏铁路": "qing1 zang4 tie3 lu4",
    "藏语": "zang4 yu3", "藏文": "zang4 wen2", "泰勒": "tai4 le4", "希特勒": "xi1 te4 le4",
    "加勒比": "jia1 le4 bi3", "托勒密": "tuo1 le4 mi4", "列宁格勒": "lie4 ning2 ge2 le4",
    "多普勒": "duo1 pu3 le4", "布什": "bu4 shi2", "什叶派": "shi2 ye4 pai4", "澎湖": "peng2 hu2",
    "张掖": "zhang1 ye4", "崆峒": "kong1 tong2", "宜都": "yi2 du1", "都灵": "du1 ling2",
    "燕国": "yan1 guo2", "高句丽": "gao1 gou1 li2", "佛罗里达": "fo2 luo2 li3 da2",
    "花岗岩": "hua1 gang1 yan2", "框架": "kuang4 jia4", "门框": "men2 kuang4",
    "框框": "kuang4 kuang5", "萎缩": "wei3 suo1", "载入": "zai3 ru4", "哮喘": "xiao4 chuan3",
    "咆哮": "pao2 xiao4", "澎湃": "peng2 pai4", "接种": "jie1 zhong4", "一曲": "yi1 qu3",
    "进行曲": "jin4 xing2 qu3", "颇具": "po1 ju4", "颇为": "po1 wei2", "干细胞": "gan4 xi4 bao1",
    "选中": "xuan3 zhong4", "投中": "tou2 zhong4", "射中": "she4 zhong4", "刺中": "ci4 zhong4",
    "中选": "zhong4 xuan3", "推倒": "tui1 dao3", "病倒": "bing4 dao3", "吓倒": "xia4 dao3",
    "划破": "hua2 po4", "散热": "san4 re4", "身着": "shen1 zhuo2", "着实": "zhuo2 shi2",
    "着地": "zhao2 di4", "下地": "xia4 di4", "了事": "liao3 shi4", "应力": "ying4 li4",
    "弹奏": "tan2 zou4", "弹指": "tan2 zhi3", "砝码": "fa3 ma3", "重用": "zhong4 yong4",
    "重振": "chong2 zhen4", "重重地": "zhong4 zhong4 de5", "麻将": "ma2 jiang4",
    "副将": "fu4 jiang4", "门将": "men2 jiang4", "偏将": "pian1 jiang4", "支行": "zhi1 hang2",
    "上行": "shang4 xing2", "踏实": "ta1 shi5", "受尽": "shou4 jin4", "用尽": "yong4 jin4",
    "几近": "ji1 jin4", "颈椎": "jing3 zhui1", "直奔": "zhi2 ben4", "脊髓": "ji3 sui3",
    "脊柱": "ji3 zhu4", "脊梁": "ji3 liang5", "屋脊": "wu1 ji3", "山脊": "shan1 ji3",
    "压根": "ya4 gen1", "压根儿": "ya4 gen1 er5", "剪切": "jian3 qie1", "切块": "qie1 kuai4",
    "琢磨": "zuo2 mo5", "得不到": "de2 bu5 dao4", "混蛋": "hun2 dan4", "旋风": "xuan4 feng1",
    "远远地": "yuan3 yuan3 de5", "死死地": "si3 si3 de5", "昏倒": "hun1 dao3",
    "待会儿": "dai1 hui4 er5", "缘分": "yuan2 fen4", "职分": "zhi2 fen4",
    "悄无声息": "qiao3 wu2 sheng1 xi1", "献血": "xian4 xue4", "处在": "chu3 zai4",
    "身处": "shen1 chu3", "染发": "ran3 fa4", "染发剂": "ran3 fa4 ji4",
    "张国焘": "zhang1 guo2 tao1", "汉藏语系": "han4 zang4 yu3 xi4",
    "北朝鲜": "bei3 chao2 xian3", "勒马": "le4 ma3",
    "集中地": "ji2 zhong1 di4", "系统地": "xi4 tong3 de5", "般地": "ban1 de5",
}  # fmt: skip

#: Words that end in 儿 and mean a child or a son: two syllables, no erhua.
_CHILDREN = """
    女儿 婴儿 幼儿 孤儿 少儿 胎儿 男儿 健儿 宠儿 患儿 妻儿 生儿 育儿 小儿 孙儿 侄儿 混血儿 弃儿
    新生儿 低能儿 早产儿 流浪儿 双胞儿 娇儿 痴儿 我儿 吾儿 犬儿
"""
CHILDREN = frozenset(_CHILDREN.split())

#: The names of the Latin letters in the syllables of Mandarin.
LETTERS = {
    "a": "ei1", "b": "bi4", "c": "xi1", "d": "di4", "e": "yi4", "f": "ai2 fu5", "g": "ji4",
    "h": "ai2 qu5", "i": "ai4", "j": "zhei4", "k": "kei4", "l": "ai2 lou5", "m": "ai2 mu5",
    "n": "en1", "o": "ou1", "p": "pi4", "q": "kou1", "r": "a4", "s": "ai2 si5", "t": "ti4",
    "u": "you1", "v": "wei1", "w": "da2 bu5 liu5", "x": "ai2 ke5 si5", "y": "wai4", "z": "zei4",
}  # fmt: skip

#: What is read of a digit that the normaliser left beside letters.
DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
