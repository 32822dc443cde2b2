"""First and last names by country, and the rule that keeps some full names for public figures."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

from clearbench.people.person import Gender

_PUBLIC_SHARE = 8


class Names(NamedTuple):
    """The name pools of one country."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    last: tuple[str, ...]

    def first(self, gender: Gender) -> tuple[str, ...]:
        """Returns the first names of one gender."""
        return self.female if gender == "female" else self.male


def is_public_name(name: str) -> bool:
    """Whether a full name is kept for public figures: about one in eight, by a fixed hash."""
    return zlib.crc32(name.encode()) % _PUBLIC_SHARE == 0


def _names(female: str, male: str, last: str) -> Names:
    return Names(tuple(female.split()), tuple(male.split()), tuple(last.split()))


NAMES: Mapping[str, Names] = {
    "Nigeria": _names(
        "Adunni Bolanle Folake Titilayo Yetunde Morenike Abeni Simisola Ronke Omolara Kehinde Dupe",
        "Babatunde Olumide Segun Adewale Kayode Femi Gbenga Rotimi Taiwo Dayo Ayinde Kolawole",
        "Adeyemi Okunola Balogun Ogunleye Afolabi Akinwale Bamidele Oyelaran Fasanya Adebisi "
        "Olatunji Oyebade Akande Falade Ojo Sowande Aluko Oladipo Ayodele Fashola",
    ),
    "Ghana": _names(
        "Akosua Abena Esi Efua Ama Adwoa Afia Yaa Araba Maame Serwaa Akua",
        "Kwame Kofi Kwabena Yaw Kojo Kwaku Fiifi Ebo Nana Kwesi Paapa Kobina",
        "Mensah Boateng Asante Owusu Osei Agyeman Amoah Darko Ofori Adjei Sarpong Ansah "
        "Quaye Addo Frimpong Antwi Baidoo Donkor Opoku Tetteh",
    ),
    "Kenya": _names(
        "Wanjiru Akinyi Nyambura Achieng Wambui Chebet Makena Nekesa Atieno Moraa Jelagat Muthoni",
        "Kamau Otieno Mwangi Kiprop Barasa Juma Karanja Odhiambo Kiptoo Mutua Njoroge Wekesa",
        "Kariuki Omondi Mutiso Cheruiyot Wafula Ndungu Okello Kimani Rotich Nyongesa Musyoka "
        "Githinji Onyango Langat Maina Ouma Gitau Kosgei Simiyu Mbugua",
    ),
    "Ethiopia": _names(
        "Almaz Tigist Selamawit Hiwot Meseret Bethlehem Genet Aster Mulu Senait Liya Zewditu",
        "Tesfaye Dawit Bekele Yonas Abebe Girma Hailu Solomon Tadesse Kebede Mulugeta Ermias",
        "Worku Alemu Demissie Getachew Mekonnen Negash Shiferaw Wolde Ayele Desta Fikre Gebre "
        "Lemma Tilahun Zeleke Assefa Belay Kassa Molla Teferi",
    ),
    "China": _names(
        "Meiling Xiaoyan Yuhan Lihua Shuyi Qiong Ruolan Jiayi Wenjing Zhilan Huifen Yueying",
        "Weimin Jianhong Haoran Zhigang Yichen Bolin Guowei Mingze Junjie Taoran Xinyu Chaoyang",
        "Zhao Qian Sun Zhou Zheng Feng Jiang Shen Han Yang Zhu Qin Xu Lu Cao Kong Yan Hua Jin Wei",
    ),
    "Japan": _names(
        "Haruka Sakura Yumiko Akane Natsuki Emiko Chihiro Misaki Ayano Setsuko Fumika Kaede",
        "Takeshi Hiroto Kenta Daisuke Ryota Shinji Kazuo Naoki Tetsuya Makoto Isamu Yuto",
        "Tanabe Fujimori Kobayashi Hayashida Morimoto Ishikura Nakagawa Okabe Shimura Kurosaki "
        "Takeda Uehara Matsuda Hirano Aizawa Sugita Nomoto Yoshida Kitano Onishi",
    ),
    "Korea": _names(
        "Seoyeon Jiwoo Minji Hayoung Soojin Eunji Yerin Chaewon Dahye Boram Nari Hyejin",
        "Minjun Jihoon Donghyun Sungmin Taeyang Hyunwoo Jaehyuk Kyungho Woojin Seungho Beomseok "
        "Insoo",
        "Kim Park Choi Jung Kang Cho Yoon Jang Lim Oh Seo Shin Kwon Hwang Ahn Song Ryu Hong Noh "
        "Bae",
    ),
    "Vietnam": _names(
        "Linh Huong Thuy Ngoc Trang Lan Hoa Phuong Mai Quynh Diem Thao",
        "Minh Tuan Hung Khoa Dung Quang Hieu Thanh Long Phuc Trung Vinh",
        "Nguyen Tran Pham Hoang Phan Vu Dang Bui Ho Ngo Duong Ly Chau Truong Doan Lam Mac Trinh "
        "Luong Dao",
    ),
    "Poland": _names(
        "Zofia Kasia Halina Jadwiga Marta Agnieszka Danuta Iwona Teresa Bronislawa Ewa Urszula",
        "Tomasz Piotr Wojciech Marek Krzysztof Leszek Bartosz Henryk Ludwik Zbigniew Rafal Jacek",
        "Nowak Wojcik Kaczmarek Mazur Krawczyk Zajac Wrobel Stepien Dudek Pawlak Walczak Baran "
        "Szewczyk Sikora Gajda Pietrzak Kubiak Wilk Lis Bednarz",
    ),
    "Italy": _names(
        "Chiara Francesca Ilaria Lucrezia Donatella Silvia Beatrice Paola Ginevra Ornella Fiorella "
        "Bianca",
        "Lorenzo Matteo Giacomo Alessio Stefano Corrado Fabrizio Emilio Ruggero Dario Salvatore "
        "Tiziano",
        "Rossetti Bianchi Moretti Galli Conti Barbieri Fontana Caruso Marchetti Lombardo Gentile "
        "Pellegrini Sartori Vitale Bernardi Grassi Longhi Mancini Ferraro Zanetti",
    ),
    "Finland": _names(
        "Aino Helmi Kaisa Sanna Outi Riikka Tuuli Marjatta Eeva Pirkko Venla Saara",
        "Eero Jukka Antti Mikko Pekka Timo Veikko Oskari Aleksi Heikki Ilmari Juhani",
        "Korhonen Virtanen Nieminen Laine Heikkinen Koskela Jarvinen Lehtonen Saarinen Salmela "
        "Makinen Rantanen Kallio Hakala Niskanen Toivonen Ahola Peltola Karjalainen Vuorinen",
    ),
    "Ireland": _names(
        "Aoife Siobhan Niamh Maeve Orla Grainne Sinead Deirdre Roisin Ciara Fionnuala Bridget",
        "Cormac Declan Padraig Eoin Fergal Ronan Tadhg Oisin Conor Lorcan Donal Niall",
        "Halloran Kavanagh Hennessy Doherty Quinlan Sheehan Mulligan Fitzpatrick Keane Rafferty "
        "Devlin Hanrahan Costello Tierney Lenehan Foley Corrigan Madigan Nolan Scanlon",
    ),
    "Mexico": _names(
        "Guadalupe Xochitl Esperanza Citlali Marisol Rosario Yolanda Lupita Itzel Graciela Rocio "
        "Araceli",
        "Cuauhtemoc Ignacio Rodrigo Efrain Gilberto Heriberto Refugio Joaquin Ruben Leonel Saul "
        "Evaristo",
        "Hernandez Jimenez Villarreal Zamora Cardenas Escobedo Montoya Cisneros Aguilar Becerra "
        "Galvan Trevino Orozco Medrano Salazar Valdez Rangel Cantu Barragan Ochoa",
    ),
    "Brazil": _names(
        "Juliana Larissa Tainara Fernanda Iracema Beatriz Luciana Jussara Rafaela Marcia Camila "
        "Thais",
        "Thiago Caetano Gustavo Marcelo Rogerio Vinicius Joao Edson Leandro Otavio Murilo Renato",
        "Silveira Oliveira Carvalho Nascimento Barbosa Moreira Teixeira Cardoso Pinheiro Fonseca "
        "Azevedo Siqueira Bezerra Figueira Macedo Tavares Guimaraes Peixoto Coutinho Batista",
    ),
    "Peru": _names(
        "Killa Milagros Nayra Carmen Flor Rosaura Sumaq Justina Victoria Urpi Mercedes Dina",
        "Amaru Wilmer Inti Percy Hugo Fortunato Rumi Elmer Sixto Wayra Nilton Cesar",
        "Quispe Mamani Huaman Condori Challco Ccori Yupanqui Choque Apaza Cahuana Huanca Paucar "
        "Ticona Callo Sulca Zevallos Cusi Pacheco Inga Vilca",
    ),
    "Argentina": _names(
        "Florencia Valentina Malena Agustina Delfina Pilar Jimena Soledad Mora Antonella Celeste "
        "Abril",
        "Facundo Santiago Nicolas Lautaro Gonzalo Ezequiel Matias Bautista Ramiro Ulises Tobias "
        "Benicio",
        "Bustos Peralta Acosta Benitez Ledesma Bianco Vega Sosa Quiroga Luna Ferreyra Molina "
        "Ibarra Godoy Maldonado Paz Toledo Echeverria Roldan Arrieta",
    ),
    "Turkey": _names(
        "Elif Zeynep Aysel Defne Nilufer Gulsen Sevgi Melek Hande Ceren Filiz Pinar",
        "Emre Mehmet Kerem Burak Cengiz Orcun Serkan Tolga Volkan Yusuf Hakan Baris",
        "Ozkan Demir Kaya Celik Aydin Ozturk Arslan Dogan Koc Aksoy Erdem Polat Tekin Bulut "
        "Gunes Korkmaz Tuncer Uysal Yildiz Sezer",
    ),
    "Iran": _names(
        "Shirin Parisa Nasrin Azadeh Mahsa Golnar Roya Laleh Farzaneh Mina Setareh Niloufar",
        "Dariush Kaveh Behrouz Cyrus Arash Farhad Siavash Hooman Ramin Babak Kourosh Navid",
        "Tehrani Karimi Rostami Shirazi Farrokh Bahrami Jafari Moradi Kermani Sadeghi Golshan "
        "Nouri Rahimi Zandi Mokhtari Parvizi Esfahani Daneshvar Vaziri Ardalan",
    ),
    "Lebanon": _names(
        "Rima Nadine Zeina Carla Hanan Joumana Maya Samar Nayla Rania Ghada Yara",
        "Elias Tarek Fadi Ziad Georges Marwan Rafiq Jad Bassel Antoine Karim Nabil",
        "Harfouche Kanaan Sleiman Nassar Saab Abboud Gemayel Tannous Hobeika Karam Rizk Chahine "
        "Fares Daher Maalouly Bitar Najjar Atallah Sfeir Moussa",
    ),
    "Egypt": _names(
        "Amira Nesma Dalia Heba Salma Mona Yasmine Nagwa Shaimaa Farida Hoda Eman",
        "Mahmoud Khaled Sherif Omar Hossam Tamer Mostafa Wael Ashraf Ramy Ibrahim Adel",
        "Mansour Hassan Shaheen Fawzy Sabry Gaber Elmasry Salem Zaki Abdou Farag Hegazy Barakat "
        "Selim Kamel Fahmy Ragab Shafik Tawfik Lotfy",
    ),
    "India": _names(
        "Ananya Kavita Meera Lakshmi Sunita Radhika Pooja Divya Shalini Usha Nandini Vasudha",
        "Arjun Rohan Vikram Suresh Anil Kiran Manish Prakash Rajesh Gopal Nikhil Harish",
        "Sharma Iyer Deshpande Patel Kulkarni Nambiar Joshi Reddy Chauhan Bhatt Mishra Saxena "
        "Trivedi Pillai Verma Kapadia Agarwal Rathore Gokhale Shetty",
    ),
    "Pakistan": _names(
        "Ayesha Sana Mehreen Bushra Zainab Nadia Hina Rabia Saima Fariha Kiran Noreen",
        "Bilal Hamza Usman Faisal Imtiaz Zubair Kamran Shahid Adnan Waqar Junaid Tahir",
        "Qureshi Malik Chaudhry Bhatti Siddiqui Khattak Mirza Baloch Gilani Tareen Rehman Durrani "
        "Cheema Abbasi Hashmi Lodhi Janjua Memon Soomro Awan",
    ),
    "Bangladesh": _names(
        "Nusrat Shapla Farhana Moushumi Taslima Rehana Jharna Sultana Purnima Labanya Shirina "
        "Kakoli",
        "Anwar Rafiqul Shahin Tanvir Mizan Kamrul Jasim Habib Liton Shafiq Masud Nazrul",
        "Chowdhury Hossain Talukdar Sarkar Mondal Bhuiyan Miah Haque Sikder Khandakar Biswas "
        "Majumder Pramanik Akhand Howlader Mollah Dewan Patwary Barua Munshi",
    ),
    "Nepal": _names(
        "Sabina Pramila Sarita Bimala Kopila Asmita Manju Sushila Rupa Binita Nirmala Junu",
        "Bishnu Dipendra Prabin Santosh Ramesh Gyan Suman Keshav Tenzin Rajan Lhakpa Bikash",
        "Gurung Tamang Shrestha Thapa Adhikari Rai Magar Karki Sherpa Basnet Maharjan Lama "
        "Bhandari Poudel Khadka Acharya Rana Ghimire Subedi Dahal",
    ),
}
